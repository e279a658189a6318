import icon from './icon.svg';

export function Wordmark() {
  return (
    <h1 className="wordmark">
      <img src={icon} alt="" width={28} height={28} />
      Media Pipeline
    </h1>
  );
}
