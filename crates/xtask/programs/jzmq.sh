# title: jzmq
# language: Java
# tests: its own
# from: Debian
# packages: dpkg-dev default-jdk-headless libzmq-java libzmq-jni junit4 libhamcrest-java

JARS=/usr/share/java/zmq.jar:/usr/share/java/junit4.jar:/usr/share/java/hamcrest-core.jar

prepare() {
  debian_source jzmq
  mkdir classes
  javac -nowarn -d classes -cp "$JARS" $(find source/src/test -name '*.java')
  debian_version libzmq-jni >version
}

run() {
  local classes
  classes=$(cd classes && find . -name '*Test.class' | sed 's|^\./||; s|\.class$||; s|/|.|g' | sort)
  java -Djava.library.path=/usr/lib/x86_64-linux-gnu/jni -cp "classes:$JARS" org.junit.runner.JUnitCore $classes \
    >tests.log 2>&1 || true
  cat tests.log
  sed -n 's/^[0-9]*) \(.*\)/failed: \1/p' tests.log
  local all failed=0
  all=$(sed -n 's/^OK (\([0-9]*\) test.*/\1/p; s/^Tests run: \([0-9]*\).*/\1/p' tests.log)
  failed=$(sed -n 's/^Tests run: .*Failures: \([0-9]*\).*/\1/p' tests.log)
  totals $((all - ${failed:-0})) "${failed:-0}" 0
}
