(() => {
const net = require('net'), fs = require('fs'), dns = require('dns'), rl = require('readline');
const [behaviour] = process.argv.slice(1);
const say = (m) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...m }) + '\n');
console.error(`behaves: ${behaviour}; key: ${process.env.API_KEY || 'none'}`);
if (behaviour === 'exit') { for (let n = 0; n < 30; n++) console.error(`line ${n}`); process.exitCode = 7; return; }
if (behaviour === 'babble') { process.stdout.write('hello, I am no MCP server\n'); }
let count = 0, lists = 0;
const text = (t) => ({ content: [{ type: 'text', text: String(t) }] });
const connect = (host, port, first) => new Promise((done) => {
  let got = '';
  const socket = net.connect({ host, port: Number(port), timeout: 4000 });
  socket.on('connect', () => first ? socket.write(first) : done('connected'));
  socket.on('data', (d) => { got += d; done(got); });
  socket.on('timeout', () => { done('timeout'); socket.destroy(); });
  socket.on('error', (e) => done(e.code));
});
const tools = {
  count: () => ++count,
  env: ({ name }) => process.env[name] ?? 'unset',
  args: () => process.argv.slice(1).join(' '),
  write: ({ path }) => { try { fs.writeFileSync(path, 'x'); return 'written'; } catch (e) { return e.code; } },
  read: ({ path }) => { try { return fs.readFileSync(path, 'utf8'); } catch (e) { return e.code; } },
  status: () => fs.readFileSync('/proc/self/status', 'utf8'),
  connect: ({ host, port, first }) => connect(host, port, first),
  resolve: ({ host }) => new Promise((done) => dns.lookup(host, (e, a) => done(e ? e.code : a))),
  fetch: ({ url }) => fetch(url).then((r) => `status ${r.status}`, (e) => `${e.cause?.code ?? ''} ${e.cause?.message ?? e.message}`),
  flood: async ({ stream, mib }) => {
    const chunk = 'x'.repeat(1 << 20);
    for (let n = 0; n < mib; n++) if (!process[stream].write(chunk)) await new Promise((go) => process[stream].once('drain', go));
    if (!process[stream].write('\n')) await new Promise((go) => process[stream].once('drain', go));
    return 'flooded';
  },
  lists: () => lists,
  block: ({ ms }) => { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms); return 'awake'; },
  leave: () => { setTimeout(() => process.exit(3), 50); return 'leaving'; },
};
rl.createInterface({ input: process.stdin }).on('line', async (line) => {
  if (behaviour === 'babble' || behaviour === 'silent') return;
  let m;
  try { m = JSON.parse(line); } catch { return; }
  if (m.id === undefined) return;
  if (m.method === 'initialize') return say({ id: m.id, result: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } } });
  if (m.method === 'tools/list') lists += 1;
  if (m.method === 'tools/list' && behaviour === 'restless') setImmediate(() => say({ method: 'notifications/tools/list_changed' }));
  if (m.method === 'tools/list') return say({ id: m.id, result: { tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } })) } });
  if (m.method === 'tools/call') return say({ id: m.id, result: text(await tools[m.params.name](m.params.arguments ?? {})) });
  say({ id: m.id, error: { code: -32601, message: 'no such method' } });
});
})();
