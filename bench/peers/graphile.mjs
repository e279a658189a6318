// graphile-worker, with its batches on: what bench/peers/stand.py asks, in Node.
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const require = createRequire(`${process.cwd()}/`);
const { Logger, makeWorkerUtils, run, runMigrations } = require('graphile-worker');
const { Pool } = require('pg');

const PRODUCERS = 32;
const SLOTS = 100;
const PICKUPS = 100;
const FAIR_SLOTS = 20;
const LENGTH = 50;
const BACKLOG = 2000;
const LIGHT = 40;
const TEXT = 'a harbour at dusk, layered hills, warm light';

const [question, url, count] = process.argv.slice(2);
const jobs = Number(count);
const pool = new Pool({ connectionString: url, max: PRODUCERS + 8 });
const logger = new Logger(() => () => {});
const worker = { completeJobBatchDelay: 0, failJobBatchDelay: 0 };
await runMigrations({ pgPool: pool, logger });
const utils = await makeWorkerUtils({ pgPool: pool, logger });
const enqueue = (number) => utils.addJob('noop', { number, prompt: TEXT });
const cpu = () => (({ user, system }) => (user + system) / 1e6)(process.cpuUsage());
const at = (values, share) => values.sort((a, b) => a - b)[Math.floor(values.length * share)];

async function enqueueRate(producers) {
  let next = 0;
  const began = performance.now();
  const produce = async () => { while (next < jobs) await enqueue(next++); };
  await Promise.all(Array.from({ length: producers }, produce));
  return jobs / ((performance.now() - began) / 1e3);
}

function work(slots, handle) {
  return run({
    pgPool: pool,
    logger,
    noHandleSignals: true,
    taskList: { noop: handle },
    preset: { worker: { ...worker, concurrentJobs: slots, localQueue: { size: slots + 1 } } },
  });
}

async function left() {
  const { rows } = await pool.query('SELECT count(*)::int AS left FROM graphile_worker._private_jobs');
  return rows[0].left;
}

const QUESTIONS = {
  alone: async () => ({ 'enqueue 1x1 /s': await enqueueRate(1) }),
  many: async () => {
    const kept = await enqueueRate(PRODUCERS);
    let seen = 0;
    const [before, began] = [cpu(), performance.now()];
    const runner = await work(SLOTS, () => { seen += 1; });
    while (seen < jobs) await sleep(1);
    while (await left()) await sleep(2);
    const [seconds, spent] = [(performance.now() - began) / 1e3, cpu() - before];
    await runner.stop();
    return { '32 producers /s': kept, 'drain /s': jobs / seconds, 'CPU us/job': (spent / jobs) * 1e6 };
  },
  pickup: async () => {
    const [waits, asked] = [[], []];
    let picked = () => {};
    const runner = await work(SLOTS, ({ number }) => {
      waits.push(performance.now() - asked[number]);
      picked();
    });
    await sleep(500);
    for (let number = 0; number < Math.min(jobs, PICKUPS); number += 1) {
      const started = new Promise((resolve) => { picked = resolve; });
      asked[number] = performance.now();
      await enqueue(number);
      await started;
      await sleep(20);
    }
    await sleep(1000);
    const before = cpu();
    await sleep(4000);
    const idle = (cpu() - before) / 4;
    await runner.stop();
    return { 'pickup p50 ms': at(waits, 0.5), 'pickup p99 ms': at(waits, 0.99), 'idle CPU %': idle * 100 };
  },
  fair: async () => {
    const [waits, asked] = [[], []];
    let done = 0;
    await Promise.all(Array.from({ length: BACKLOG }, (_, number) => enqueue(number)));
    const began = performance.now();
    const runner = await work(FAIR_SLOTS, async ({ number }) => {
      if (asked[number]) waits.push((performance.now() - asked[number]) / LENGTH);
      await sleep(LENGTH);
      done += 1;
    });
    for (let number = BACKLOG; number < BACKLOG + LIGHT; number += 1) {
      asked[number] = performance.now();
      await enqueue(number);
      await sleep(100);
    }
    while (done < BACKLOG + LIGHT) await sleep(5);
    const rate = done / ((performance.now() - began) / 1e3);
    await runner.stop();
    return { 'light wait p99 jobs': at(waits, 0.99), 'of capacity': rate / (FAIR_SLOTS / (LENGTH / 1e3)) };
  },
};

console.log(JSON.stringify(await QUESTIONS[question]()));
process.exit(0);
