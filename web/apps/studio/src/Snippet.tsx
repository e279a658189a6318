import { useState } from 'react';

interface SnippetProps {
  path: string;
  body: object;
  hook: 'image' | 'video' | 'process';
}

/** How the same is asked for without this page: by curl, and by the hook. */
export function Snippet({ path, body, hook }: SnippetProps) {
  const [way, setWay] = useState<'curl' | 'hook'>('curl');
  const text = way === 'curl' ? writeCurl(path, body) : writeHook(hook, body);
  return (
    <details className="snippet">
      <summary>Code</summary>
      <div className="snippet-ways">
        {(['curl', 'hook'] as const).map((name) => (
          <button
            key={name}
            type="button"
            className="pu-button"
            data-look="quiet"
            aria-pressed={way === name}
            onClick={() => setWay(name)}
          >
            {name === 'curl' ? 'curl' : 'React'}
          </button>
        ))}
        {navigator.clipboard && (
          <button
            type="button"
            className="pu-button"
            data-look="quiet"
            onClick={() => void navigator.clipboard.writeText(text)}
          >
            Copy
          </button>
        )}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <pre tabIndex={0}>{text}</pre>
    </details>
  );
}

function writeCurl(path: string, body: object): string {
  const json = JSON.stringify(body).replaceAll("'", "'\\''");
  return [
    `curl ${location.origin}${path}`,
    '-H "Authorization: Bearer $TOKEN"',
    "-H 'Content-Type: application/json'",
    `-d '${json}'`,
  ].join(' \\\n  ');
}

function writeHook(hook: SnippetProps['hook'], body: object): string {
  const service = "{ apiPrefix: '', serviceName: 'my-api', headers }";
  const json = JSON.stringify(body, null, 2);
  if (hook === 'process') {
    const { path, operation } = body as { path: string; operation: object };
    return `const { process } = useMediaLibrary(${service});\nconst { jobId } = await process('${path}', ${JSON.stringify(operation)});`;
  }
  return `const { generate } = useGenerate(${service});\nconst { jobId } = await generate('${hook}', ${json});`;
}
