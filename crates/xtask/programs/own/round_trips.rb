# Round trips over ffi-rzmq, which wraps all of libzmq it can find.
require 'ffi-rzmq'

def check(name)
  yield ? puts("ok #{name}") : puts("failed: #{name}")
end

context = ZMQ::Context.new
TCP = 'tcp://127.0.0.1:*'.freeze

def pair(context, bound_type, connected_type)
  bound = context.socket(bound_type)
  bound.setsockopt(ZMQ::RCVTIMEO, 10_000)
  bound.bind(TCP)
  endpoint = []
  bound.getsockopt(ZMQ::LAST_ENDPOINT, endpoint)
  connected = context.socket(connected_type)
  connected.setsockopt(ZMQ::RCVTIMEO, 10_000)
  yield bound, connected if block_given?
  connected.connect(endpoint[0].delete("\0"))
  [bound, connected]
end

check('request and reply') do
  server, client = pair(context, ZMQ::REP, ZMQ::REQ)
  client.send_string('hello')
  server.recv_string(request = +'')
  server.send_strings(%w[one two])
  client.recv_strings(reply = [])
  [server, client].each(&:close)
  request == 'hello' && reply == %w[one two]
end

check('publish and subscribe') do
  publisher, subscriber = pair(context, ZMQ::XPUB, ZMQ::SUB) { |_, s| s.setsockopt(ZMQ::SUBSCRIBE, 'a') }
  publisher.recv_string(subscription = +'')
  publisher.send_string('b not wanted')
  publisher.send_string('a wanted')
  subscriber.recv_string(text = +'')
  [publisher, subscriber].each(&:close)
  subscription == "\x01a" && text == 'a wanted'
end

check('router and dealer') do
  router, dealer = pair(context, ZMQ::ROUTER, ZMQ::DEALER) { |_, d| d.identity = 'somebody' }
  dealer.send_string('question')
  router.recv_strings(parts = [])
  router.send_strings([parts[0], 'answer'])
  dealer.recv_string(text = +'')
  [router, dealer].each(&:close)
  parts == %w[somebody question] && text == 'answer'
end

check('a large message') do
  pull, push = pair(context, ZMQ::PULL, ZMQ::PUSH)
  body = 'x' * 5_000_000
  push.send_string(body)
  pull.recv_string(text = +'')
  [pull, push].each(&:close)
  text == body
end

check('poll') do
  pull, push = pair(context, ZMQ::PULL, ZMQ::PUSH)
  poller = ZMQ::Poller.new
  poller.register_readable(pull)
  quiet = poller.poll(0).zero?
  push.send_string('x')
  ready = poller.poll(10_000) == 1 && poller.readables == [pull]
  [pull, push].each(&:close)
  quiet && ready
end

check('a time-out') do
  pull = context.socket(ZMQ::PULL)
  pull.setsockopt(ZMQ::RCVTIMEO, 10)
  code = pull.recv_string(+'')
  timed_out = code == -1 && ZMQ::Util.errno == ZMQ::EAGAIN
  pull.close
  timed_out
end

check('a monitor') do
  server = context.socket(ZMQ::REP)
  code = server.respond_to?(:monitor) ? server.monitor('inproc://monitor', ZMQ::EVENT_ALL) : 0
  server.bind(TCP)
  server.close
  code.zero?
end

check('errors') do
  pull = context.socket(ZMQ::PULL)
  refused = pull.bind('nonsense') == -1 && ZMQ::Util.error_string.length.positive?
  pull.close
  refused
end

check('the end of the context') { context.terminate.zero? }
