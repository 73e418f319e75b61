# title: zeromq.js
# language: JavaScript
# tests: ours
# from: npm
# packages: nodejs g++ make python3 pkg-config

VERSION=6.0.0-beta.20

# The last version that can be built against an installed libzmq.
prepare() {
  echo '{"private": true}' >package.json
  npm install --silent --ignore-scripts "zeromq@$VERSION" node-gyp@10
  cd node_modules/zeromq
  rm -rf prebuilds
  PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig CXXFLAGS="-I$PREFIX/include" LDFLAGS="-L$PREFIX/lib" \
    npx node-gyp rebuild --nodedir="${NODE_HEADERS:-/usr}" -- -Dzmq_shared=true
  echo "$VERSION" >"$WORK/version"
}

run() {
  NODE_PATH=$WORK/node_modules own_totals timeout -k 5 120 node "$PROGRAMS/own/round_trips.js"
}
