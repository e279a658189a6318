export interface Example {
  page: string;
  kind: 'ts' | 'tsx';
  code: string;
  number: number;
  line: number;
}
export function findExamples(pages: string[]): Example[];
export function findLive(): (Example & { name: string })[];
