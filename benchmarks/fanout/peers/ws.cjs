// Node `ws`: `send` to each client.
const { WebSocketServer } = require("ws");
const readline = require("node:readline");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 });
server.on("listening", () => console.log(server.address().port));
server.on("connection", (client) => client._socket.setNoDelay(true));

const now = () => process.hrtime.bigint();
const sleep = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

async function run(size, count, rate) {
    const rest = "x".repeat(size - 21);
    let due = now();
    for (let i = 0; i < count; i++) {
        due += BigInt(Math.round(1e9 / rate));
        if (due < now()) due = now();
        await sleep(Math.max(0, Number(due - now()) / 1e6));
        const text = Buffer.from(`@${due.toString().padStart(19, "0")} ${rest}`);
        for (const client of server.clients) client.send(text, { binary: false });
    }
    console.log("done");
}

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => run(...line.split(" ").map(Number)));
lines.on("close", () => process.exit(0));
