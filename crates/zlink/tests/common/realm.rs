//! A Kerberos realm of a test's own: a KDC on the loopback, with all its files in a directory that goes with it.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::common::{guarded, wait_until};

/// The principals there are: a server, and a client that has a key in a file of its own.
pub const SERVICE: &str = "zmq@localhost";
pub const CLIENT: &str = "somebody@ZLINK.TEST";

const REALM: &str = "ZLINK.TEST";
/// Tells a test that it runs in a realm.
const MARK: &str = "ZLINK_TEST_REALM";

struct Realm {
    directory: PathBuf,
    kdc: Option<Child>,
}

impl Drop for Realm {
    fn drop(&mut self) {
        if let Some(kdc) = &mut self.kdc {
            let _ = (kdc.kill(), kdc.wait());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Runs the test called `name` in a process of its own, whose environment leads to a realm: the library reads it once.
/// Where there is no KDC to be had, says so and runs nothing, unless `ZLINK_TEST_KDC` says that there has to be one.
pub fn in_a_realm(name: &str, test: impl FnOnce() + Send + 'static) {
    if std::env::var_os(MARK).is_some() {
        return guarded(test);
    }
    if let Some(missing) =
        ["krb5kdc", "kdb5_util", "kadmin.local"].into_iter().find(|name| !is_installed(name))
    {
        let text = format!("there is no {missing} here (Debian's packages krb5-kdc and krb5-admin-server)");
        assert!(std::env::var_os("ZLINK_TEST_KDC").is_none(), "{text}");
        return eprintln!("SKIPPED {name}: {text}");
    }
    let realm = Realm::start();
    let own = std::env::current_exe().expect("this program");
    let mut child = Command::new(own);
    realm.environment(&mut child).args([name, "--exact", "--nocapture"]).env(MARK, "1");
    let output = child.output().expect("a child");
    assert!(
        output.status.success(),
        "in its realm: {}{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        fs::read_to_string(realm.directory.join("kdc.log")).unwrap_or_default()
    );
}

fn command(name: &str) -> Command {
    // Not every user has the directories of administration in his path.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    let found = path.split(':').map(|directory| Path::new(directory).join(name)).find(|file| file.exists());
    Command::new(found.unwrap_or_else(|| name.into()))
}

fn is_installed(name: &str) -> bool {
    match command(name).arg("-?").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("{name}: {error}"),
    }
}

impl Realm {
    fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("realm-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let mut realm = Realm { directory, kdc: None };
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
            listener.local_addr().expect("address").port()
        };
        realm.configure(port);
        realm.run("kdb5_util", &["create", "-s", "-r", REALM, "-P", "no secret"]);
        let keytabs = [("zmq/localhost", "server.keytab"), ("somebody", "client.keytab")];
        for (principal, keytab) in keytabs {
            let keytab = realm.file(keytab);
            realm.run("kadmin.local", &["-r", REALM, "-q", &format!("addprinc -randkey {principal}")]);
            realm.run("kadmin.local", &["-r", REALM, "-q", &format!("ktadd -k {keytab} {principal}")]);
            assert!(Path::new(&keytab).exists(), "no key for {principal}");
        }
        let mut kdc = command("krb5kdc");
        realm.environment(&mut kdc).args(["-n", "-r", REALM]).stdout(Stdio::null()).stderr(Stdio::null());
        realm.kdc = Some(kdc.spawn().expect("krb5kdc"));
        wait_until("the KDC answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        realm
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn configure(&self, port: u16) {
        let directory = self.directory.display();
        let library = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n \
             rdns = false\n dns_canonicalize_hostname = false\n udp_preference_limit = 1\n\
             [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n\
             [domain_realm]\n localhost = {REALM}\n\
             [logging]\n kdc = FILE:{directory}/kdc.log\n"
        );
        fs::write(self.directory.join("krb5.conf"), library).expect("a file");
        let kdc = format!(
            "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n {REALM} = {{\n  database_name = {directory}/principal\n  key_stash_file = {directory}/stash\n  \
             acl_file = {directory}/acl\n }}\n"
        );
        fs::write(self.directory.join("kdc.conf"), kdc).expect("a file");
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("KRB5_CONFIG", self.file("krb5.conf"))
            .env("KRB5_KDC_PROFILE", self.file("kdc.conf"))
            .env("KRB5_KTNAME", format!("FILE:{}", self.file("server.keytab")))
            .env("KRB5_CLIENT_KTNAME", format!("FILE:{}", self.file("client.keytab")))
            .env("KRB5CCNAME", format!("FILE:{}", self.file("tickets")))
            .env("KRB5RCACHEDIR", self.file(""))
    }

    fn run(&self, name: &str, arguments: &[&str]) {
        let output = self.environment(&mut command(name)).args(arguments).output().expect("it is installed");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
