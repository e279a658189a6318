import type { ChildProcess } from 'node:child_process';

export function start(port: number, state: string, settings: Record<string, string>): ChildProcess;
export function stop(service: ChildProcess, signal?: NodeJS.Signals): Promise<void>;
export function waitUntilReady(url: string, service: ChildProcess): Promise<void>;
export function findPort(): Promise<number>;
