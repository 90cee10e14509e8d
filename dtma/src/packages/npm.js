// Prints how the package is started, as npx would: the bin named like the package, or the only one.
const fs = require('fs'), path = require('path');
const name = process.argv[1], root = path.join('/opt/server/node_modules', name);
const say = (what) => { console.log(JSON.stringify(what)); process.exit(0); };
const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
const short = name.split('/').pop();
const bin = typeof manifest.bin === 'string' ? { [short]: manifest.bin } : manifest.bin || {};
const names = Object.keys(bin);
const different = new Set(Object.values(bin));
const file = bin[short] || (different.size === 1 ? bin[names[0]] : undefined);
if (!file) say({ error: names.length
  ? `${name} has the commands ${names.join(', ')} and none is called like it` : `${name} has no command to start` });
const target = path.join(root, file);
if (!fs.existsSync(target)) say({ error: `${name} names the command ${file} and does not hold it` });
let scripts = [];
try {
  const lock = JSON.parse(fs.readFileSync('/opt/server/node_modules/.package-lock.json', 'utf8'));
  scripts = Object.entries(lock.packages).filter(([, p]) => p.hasInstallScript)
    .map(([at]) => at.replace(/^.*node_modules\//, '')).slice(0, 20);
} catch {}
const first = fs.readFileSync(target, 'utf8').split('\n', 1)[0];
say({ version: manifest.version, command: /^#!.*\bnode\b/.test(first) || !first.startsWith('#!') ? ['node', target] : [target], scripts });
