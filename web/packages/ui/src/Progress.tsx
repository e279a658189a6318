/** A bar of what is really known: null shows that work goes on, and no number. */
export function Progress({ value, label }: { value: number | null; label: string }) {
  const known = value === null ? {} : { value };
  return <progress className="pu-progress" max={100} aria-label={label} {...known} />;
}
