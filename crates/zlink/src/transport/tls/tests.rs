use std::os::unix::net::UnixStream;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustix::event::{PollFd, PollFlags, poll};

use super::*;

/// A certificate in PEM, and its key.
struct Identity {
    certificate: String,
    key: String,
}

/// One who signs certificates.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    certificate: String,
}

impl Authority {
    fn new() -> Self {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().expect("a key"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Authority { params, key, certificate }
    }

    fn issue(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

fn named(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).expect("names")
}

/// With a common name alone, as certificates once were.
fn common(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn self_signed(params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    Identity { certificate, key: key.serialize_pem() }
}

fn server(identity: &Identity) -> TlsRole {
    let options = TlsOptions {
        certificate: identity.certificate.clone().into(),
        key: identity.key.clone().into(),
        ..TlsOptions::default()
    };
    TlsRole::server(&options).expect("a usable identity")
}

fn client(trust: &str, hostname: &str) -> TlsRole {
    let options = TlsOptions { trust: trust.into(), hostname: hostname.to_owned(), ..TlsOptions::default() };
    TlsRole::client(&options).expect("usable trust")
}

fn pair(client: &TlsRole, server: &TlsRole) -> (TlsStream, TlsStream) {
    let (a, b) = UnixStream::pair().expect("sockets");
    a.set_nonblocking(true).and(b.set_nonblocking(true)).expect("option");
    let stream = |fd: UnixStream, role| TlsStream::new(fd.into(), role).expect("a stream");
    (stream(a, client), stream(b, server))
}

/// Moves `bytes` from one end to the other, which has to answer while they shake hands.
fn carry(from: &TlsStream, to: &TlsStream, bytes: &[u8]) -> Result<Vec<u8>, Errno> {
    let (mut sent, mut received) = (0, Vec::new());
    let mut buffer = [const { MaybeUninit::uninit() }; 1000];
    while received.len() < bytes.len() {
        if sent < bytes.len() {
            match from.send(&[IoSlice::new(&bytes[sent..])]) {
                Ok(n) => sent += n,
                Err(Errno::AGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
        from.flush()?;
        match from.recv(&mut buffer) {
            Err(Errno::AGAIN) => {}
            Ok(unasked) => panic!("{unasked:?} came back"),
            Err(errno) => return Err(errno),
        }
        match to.recv(&mut buffer) {
            Ok([]) => panic!("the end"),
            Ok(bytes) => received.extend_from_slice(bytes),
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(received)
}

fn verdict(trust: &str, hostname: &str, identity: &Identity) -> Result<(), Errno> {
    let (client, server) = pair(&client(trust, hostname), &server(identity));
    carry(&client, &server, b"hello").map(|received| assert_eq!(received, b"hello"))
}

#[test]
fn bytes_arrive_as_they_were_sent_however_many() {
    let identity = self_signed(&named(&["host"]));
    let (client, server) = pair(&client(&identity.certificate, "host"), &server(&identity));
    for len in [1, 100, 16_383, 16_384, 16_385, 70_000, 1_000_000] {
        let bytes: Vec<u8> = (0..len).map(|i| (i ^ (i >> 8)) as u8).collect();
        assert!(carry(&client, &server, &bytes) == Ok(bytes.clone()), "{len} to the server");
        assert!(carry(&server, &client, &bytes) == Ok(bytes), "{len} to the client");
    }
}

#[test]
fn a_writer_is_held_back_and_told_what_is_left() {
    let identity = self_signed(&named(&["host"]));
    let (client, server) = pair(&client(&identity.certificate, "host"), &server(&identity));
    carry(&client, &server, b"hello").expect("a handshake");
    let bytes = [7; 100_000];
    let mut sent = 0;
    while let Ok(n) = client.send(&[IoSlice::new(&bytes)]) {
        assert!(n > 0);
        sent += n;
    }
    assert_eq!(client.send(&[IoSlice::new(&bytes)]), Err(Errno::AGAIN));
    assert_eq!(client.flush(), Ok(false));
    let (mut received, mut buffer) = (0, [const { MaybeUninit::uninit() }; 5000]);
    while received < sent {
        match server.recv(&mut buffer) {
            Ok(bytes) => received += bytes.len(),
            Err(errno) => assert_eq!(errno, Errno::AGAIN),
        }
        client.flush().expect("an open socket");
    }
    assert_eq!((received, client.flush()), (sent, Ok(true)));
}

#[test]
fn what_lies_decrypted_is_told_of_though_the_socket_is_silent() {
    let identity = self_signed(&named(&["host"]));
    let (client, server) = pair(&client(&identity.certificate, "host"), &server(&identity));
    carry(&client, &server, b"hello").expect("a handshake");
    client.send(&[IoSlice::new(b"two"), IoSlice::new(b" slices")]).expect("room");
    let mut byte = [MaybeUninit::uninit()];
    assert!(!server.holds_input());
    let mut received = Vec::new();
    while received.len() < 10 {
        received.extend_from_slice(server.recv(&mut byte).expect("a byte"));
        let mut fds = [PollFd::new(&server, PollFlags::IN)];
        let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(poll(&mut fds, Some(&now)), Ok(0), "the kernel has nothing more");
        assert_eq!(server.holds_input(), received.len() < 10);
    }
    assert_eq!(received, b"two slices");
}

#[test]
fn a_goodbye_is_the_end_of_the_stream_and_so_is_none() {
    let identity = self_signed(&named(&["host"]));
    for polite in [true, false] {
        let (client, server) = pair(&client(&identity.certificate, "host"), &server(&identity));
        carry(&client, &server, b"hello").expect("a handshake");
        client.send(&[IoSlice::new(b"last")]).expect("room");
        if polite {
            client.close_notify();
        } else {
            drop(client);
        }
        let mut buffer = [const { MaybeUninit::uninit() }; 100];
        assert_eq!(server.recv(&mut buffer), Ok(&mut b"last"[..].to_vec()[..]));
        assert_eq!(server.recv(&mut buffer), Ok(&mut [][..]), "polite: {polite}");
        assert_eq!(server.recv(&mut buffer), Ok(&mut [][..]), "polite: {polite}");
    }
}

#[test]
fn a_certificate_is_trusted_if_signed_by_one_that_is_or_one_itself() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let identity = authority.issue(&named(&["host.example"]));
    assert_eq!(verdict(&authority.certificate, "host.example", &identity), Ok(()));
    assert_eq!(verdict(&identity.certificate, "host.example", &identity), Ok(()));
    let both = [stranger.certificate.as_str(), &authority.certificate].concat();
    assert_eq!(verdict(&both, "", &identity), Ok(()));
    assert_eq!(verdict(&stranger.certificate, "host.example", &identity), Err(Errno::PROTO));
    assert_eq!(verdict("", "host.example", &identity), Err(Errno::PROTO), "nobody is trusted");
    assert_eq!(verdict("", "", &identity), Err(Errno::PROTO), "nobody is trusted");
    // An authority's own certificate on a server, as libzmq's tests have it.
    let Authority { certificate, key, .. } = authority;
    let authority = Identity { key: key.serialize_pem(), certificate };
    assert_eq!(verdict(&authority.certificate, "", &authority), Ok(()));
    assert_eq!(verdict(&stranger.certificate, "", &authority), Err(Errno::PROTO));
}

#[test]
fn certificates_between_are_used() {
    let authority = Authority::new();
    let (mut params, key) = (common("between"), KeyPair::generate().expect("a key"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::from_params(&authority.params, &authority.key);
    let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
    let between = Authority { params, key, certificate };
    let mut identity = between.issue(&named(&["host"]));
    assert_eq!(verdict(&authority.certificate, "host", &identity), Err(Errno::PROTO));
    identity.certificate += &between.certificate;
    assert_eq!(verdict(&authority.certificate, "host", &identity), Ok(()));
}

#[test]
fn a_certificate_is_for_the_hostname_if_one_is_asked_for() {
    let authority = Authority::new();
    let trust = authority.certificate.as_str();
    let check = |params: &CertificateParams, hostname| verdict(trust, hostname, &authority.issue(params));
    for (names, hostname) in [
        (&["host.example"][..], "host.example"),
        (&["host.example"], "HOST.example"),
        (&["other", "host.example"], "host.example"),
        (&["*.example.org"], "host.example.org"),
        (&["127.0.0.1"], "127.0.0.1"),
        (&["::1"], "::1"),
        (&["host.example"], ""),
    ] {
        assert_eq!(check(&named(names), hostname), Ok(()), "{names:?}, {hostname}");
    }
    for (names, hostname) in [
        (&["host.example"][..], "other.example"),
        (&["host.example"], "sub.host.example"),
        (&["*.example.org"], "example.org"),
        (&["host.example"], "127.0.0.1"),
        (&["127.0.0.1"], "127.0.0.2"),
    ] {
        assert_eq!(check(&named(names), hostname), Err(Errno::PROTO), "{names:?}, {hostname}");
    }
    // A name in the modern way counts alone.
    let mut params = named(&["modern.example"]);
    params.distinguished_name.push(DnType::CommonName, "old.example");
    assert_eq!(check(&params, "modern.example"), Ok(()));
    assert_eq!(check(&params, "old.example"), Err(Errno::PROTO));
    for (name, hostname, expected) in [
        ("host.example", "host.example", Ok(())),
        ("Host.Example", "host.example", Ok(())),
        ("*.example.org", "host.example.org", Ok(())),
        ("*.org", "example.org", Err(Errno::PROTO)),
        ("*.example.org", "example.org", Err(Errno::PROTO)),
        ("host.example", "other.example", Err(Errno::PROTO)),
        ("127.0.0.1", "127.0.0.1", Err(Errno::PROTO)),
    ] {
        assert_eq!(check(&common(name), hostname), expected, "{name}, {hostname}");
    }
}

#[test]
fn a_certificate_has_its_time() {
    let authority = Authority::new();
    for (from, to) in [(1990, 2000), (3000, 3001)] {
        let mut params = named(&["host"]);
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let signed = authority.issue(&params);
        assert_eq!(verdict(&authority.certificate, "host", &signed), Err(Errno::PROTO));
        assert_eq!(verdict(&signed.certificate, "host", &signed), Err(Errno::PROTO), "trusted itself");
    }
}

#[test]
fn options_that_make_no_role_are_refused() {
    let (one, other) = (self_signed(&named(&["one"])), self_signed(&named(&["other"])));
    let options = |certificate: &str, key: &str| TlsOptions {
        certificate: certificate.into(),
        key: key.into(),
        ..TlsOptions::default()
    };
    for (certificate, key) in [
        ("", ""),
        ("", &one.key),
        (&one.certificate, ""),
        (&one.certificate, &other.key),
        ("garbage", "garbage"),
        (&one.certificate, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &one.key),
        ("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", &one.key),
    ] as [(&str, &str); 8]
    {
        let error = TlsRole::server(&options(certificate, key)).expect_err("no role");
        assert!(!error.to_string().is_empty());
    }
    let client = |trust: &str, hostname: &str| {
        let options =
            TlsOptions { trust: trust.into(), hostname: hostname.to_owned(), ..TlsOptions::default() };
        TlsRole::client(&options)
    };
    assert!(client("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "").is_err());
    assert!(client(&one.certificate, "not a name").is_err());
    let system = TlsOptions { trust_system: true, ..TlsOptions::default() };
    assert!(TlsRole::client(&system).is_ok());
}

#[test]
fn what_is_not_tls_is_refused_at_once() {
    let identity = self_signed(&named(&["host"]));
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0x16, 3, 1, 0xff, 0xff, 0]] {
        let (fd, other) = UnixStream::pair().expect("sockets");
        fd.set_nonblocking(true).expect("option");
        let stream = TlsStream::new(fd.into(), &server(&identity)).expect("a stream");
        rustix::io::write(&other, garbage).expect("room");
        let mut buffer = [const { MaybeUninit::uninit() }; 100];
        assert_eq!(stream.recv(&mut buffer), Err(Errno::PROTO));
        let mut alert = [0; 100];
        assert!(rustix::io::read(&other, &mut alert).expect("an alert") > 0);
    }
}
