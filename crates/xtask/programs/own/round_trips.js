// Round trips over zeromq.js, asynchronous from end to end.
const assert = require('node:assert')
const zmq = require('zeromq')

async function check(name, body) {
  try {
    await body()
    console.log(`ok ${name}`)
  } catch (error) {
    console.log(`failed: ${name}`)
    console.log(error)
  }
}

const text = parts => parts.map(part => part.toString())

async function pair(Bound, Connected, options = {}, endpoint = 'tcp://127.0.0.1:*') {
  const bound = new Bound({ linger: 0 })
  const connected = new Connected({ linger: 0, ...options })
  for (const socket of [bound, connected]) if (socket.receive) socket.receiveTimeout = 10000
  await bound.bind(endpoint)
  connected.connect(bound.lastEndpoint)
  return [bound, connected, () => { bound.close(); connected.close() }]
}

async function main() {
  for (const endpoint of ['tcp://127.0.0.1:*', 'ipc://round-trips', 'inproc://round-trips']) {
    await check(`request and reply over ${endpoint}`, async () => {
      const [server, client, close] = await pair(zmq.Reply, zmq.Request, {}, endpoint)
      const served = (async () => {
        for await (const parts of server) await server.send(parts.reverse())
      })()
      for (let i = 0; i < 100; i++) {
        await client.send([`${i}`, 'x'])
        assert.deepStrictEqual(text(await client.receive()), ['x', `${i}`])
      }
      close()
      await served
    })
  }
  await check('publish and subscribe', async () => {
    const [publisher, subscriber, close] = await pair(zmq.XPublisher, zmq.Subscriber)
    subscriber.subscribe('a')
    assert.deepStrictEqual(text(await publisher.receive()), ['\x01a'])
    await publisher.send('b not wanted')
    await publisher.send(['a', 'wanted'])
    assert.deepStrictEqual(text(await subscriber.receive()), ['a', 'wanted'])
    close()
  })
  await check('router and dealer', async () => {
    const [router, dealer, close] = await pair(zmq.Router, zmq.Dealer, { routingId: 'somebody' })
    await dealer.send('question')
    assert.deepStrictEqual(text(await router.receive()), ['somebody', 'question'])
    await router.send(['somebody', 'answer'])
    assert.deepStrictEqual(text(await dealer.receive()), ['answer'])
    close()
  })
  await check('ten thousand messages', async () => {
    const [pull, push, close] = await pair(zmq.Pull, zmq.Push)
    const sent = (async () => { for (let i = 0; i < 10000; i++) await push.send(`${i}`) })()
    for (let i = 0; i < 10000; i++) assert.deepStrictEqual(text(await pull.receive()), [`${i}`])
    await sent
    close()
  })
  await check('a large message', async () => {
    const [pull, push, close] = await pair(zmq.Pull, zmq.Push)
    const body = Buffer.alloc(5000000, 7)
    await push.send(body)
    assert.ok((await pull.receive())[0].equals(body))
    close()
  })
  await check('a time-out', async () => {
    const pull = new zmq.Pull({ receiveTimeout: 10 })
    await assert.rejects(pull.receive(), { code: 'EAGAIN' })
    pull.close()
  })
  await check('events', async () => {
    const server = new zmq.Reply()
    const bound = new Promise(resolve => server.events.on('bind', resolve))
    await server.bind('tcp://127.0.0.1:*')
    assert.strictEqual((await bound).address, server.lastEndpoint)
    server.close()
  })
  await check('errors', async () => {
    const pull = new zmq.Pull()
    await assert.rejects(pull.bind('nonsense'), { code: 'EINVAL' })
    assert.throws(() => pull.connect('nonsense://x'), { code: 'EPROTONOSUPPORT' })
    pull.close()
  })
}

main()
