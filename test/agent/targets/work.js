// Event loop, worker threads, child processes, files and sockets in node.
const { execFile } = require('child_process'), fs = require('fs'), net = require('net'), { Worker, isMainThread, parentPort } = require('worker_threads');
if (!isMainThread) {
	let s = 0; for (let i = 0; i < 1e5; i++) s += i;
	fs.readFileSync('/proc/self/stat'); parentPort.postMessage(s);
} else {
	const end = Date.now() + 1000 * Number(process.argv[2]); let bad = 0;
	const p = f => new Promise(f);
	const child = n => p(r => execFile('sh', ['-c', `echo ${n}; exit ${n}`], (e, out) => r((e ? e.code : 0) === n && out === `${n}\n`)));
	const worker = () => p(r => new Worker(__filename).on('message', m => r(m === 4999950000)));
	const echo = () => p(r => { const s = net.createServer(c => c.on('data', d => c.end(d.toString().toUpperCase()))).listen(0, '127.0.0.1', () => {
		const c = net.connect(s.address().port, '127.0.0.1', () => c.write('abc')); c.on('data', d => { s.close(); r(d.toString() === 'ABC'); }); }); });
	const file = () => fs.promises.readFile(__filename).then(d => d.length > 100);
	(async () => {
		do { for (const ok of await Promise.all([child(0), child(3), worker(), worker(), echo(), file()])) if (!ok) bad++; } while (Date.now() < end);
		console.log('bad', bad);
	})();
}
