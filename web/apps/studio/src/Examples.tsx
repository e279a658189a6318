const prompts = [
  'Misty mountains at dawn, layers of blue',
  'A warm desert under two moons',
  'Northern lights over a quiet lake',
  'Autumn forest in slanting light',
];

/** The first run: nothing made yet, and four ways to begin. */
export function Examples({ onChoose }: { onChoose: (prompt: string) => void }) {
  return (
    <>
      <p>Nothing here yet. Write a prompt, drop a file, or begin with one of these.</p>
      <div className="examples">
        {prompts.map((prompt) => (
          <button key={prompt} type="button" className="pu-button" onClick={() => onChoose(prompt)}>
            {prompt}
          </button>
        ))}
      </div>
    </>
  );
}
