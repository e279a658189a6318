import { type FormEvent, type KeyboardEvent, type ReactNode, useId, useState } from 'react';
import { Button } from './Button.js';
import { Icon } from './icons.js';
import { type Messages, MessagesContext, useMessages } from './messages.js';
import {
  type ComposerRequest,
  choose,
  type Draft,
  EMPTY_DRAFT,
  fit,
  type GenerationKind,
  lengthsOf,
  type ModelOption,
  modelKey,
  offered,
  shapesOf,
  toRequest,
} from './requests.js';
import { Styles } from './Styles.js';

export interface PromptComposerProps {
  /** What can be asked for; the fields show only what the chosen model takes. */
  models: readonly ModelOption[];
  onSubmit: (kind: GenerationKind, request: ComposerRequest) => void;
  isSubmitting?: boolean;
  error?: Error | string | null;
  initial?: Partial<Draft>;
  placeholder?: string;
  messages?: Partial<Messages>;
  className?: string;
}

/** A prompt and the choices around it. Ctrl or Cmd with Enter sends. */
export function PromptComposer({
  models,
  onSubmit,
  isSubmitting = false,
  error = null,
  initial,
  placeholder,
  messages,
  className = '',
}: PromptComposerProps) {
  const words = useMessages(messages);
  const [written, setDraft] = useState<Draft>({ ...EMPTY_DRAFT, ...initial });
  const errorId = useId();
  const change = (part: Partial<Draft>) => setDraft((known) => ({ ...known, ...part }));
  const draft = { ...written, kind: offered(models, written.kind) };
  const option = choose(models, draft);
  const ready = draft.prompt.trim() !== '' && option !== undefined && !isSubmitting;

  const submit = (event?: FormEvent) => {
    event?.preventDefault();
    if (ready) onSubmit(draft.kind, toRequest(fit(draft, option), option));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit();
  };

  return (
    <MessagesContext value={words}>
      <form className={`pu pu-composer ${className}`} aria-label={words.generate} onSubmit={submit}>
        <Styles />
        <textarea
          className="pu-prompt"
          aria-label={words.prompt}
          aria-invalid={error ? true : undefined}
          aria-describedby={error ? errorId : undefined}
          rows={2}
          placeholder={placeholder ?? words.promptHint}
          value={draft.prompt}
          onChange={({ target }) => change({ prompt: target.value })}
          onKeyDown={onKeyDown}
        />
        {error && (
          <p className="pu-error" id={errorId} role="alert">
            {typeof error === 'string' ? error : error.message}
          </p>
        )}
        <div className="pu-fields">
          <KindSwitch
            models={models}
            value={draft.kind}
            onChange={(kind) => change({ kind, model: '', shape: '' })}
          />
          <Choices models={models} option={option} draft={draft} change={change} />
          <div className="pu-submit">
            <span className="pu-keys">{words.sendKeys}</span>
            <Button type="submit" look="primary" disabled={!ready}>
              {isSubmitting ? words.sending : words.generate}
            </Button>
          </div>
        </div>
      </form>
    </MessagesContext>
  );
}

function KindSwitch(props: {
  models: readonly ModelOption[];
  value: GenerationKind;
  onChange: (kind: GenerationKind) => void;
}) {
  const words = useMessages();
  const name = useId();
  const kinds = (['image', 'video'] as const).filter((kind) =>
    props.models.some((model) => model.kind === kind),
  );
  if (kinds.length < 2) return null;
  return (
    <fieldset className="pu-segments">
      <legend className="pu-sr">{words.kind}</legend>
      {kinds.map((kind) => (
        <label key={kind}>
          <input
            type="radio"
            name={name}
            checked={kind === props.value}
            onChange={() => props.onChange(kind)}
          />
          <Icon name={kind} />
          {words[kind]}
        </label>
      ))}
    </fieldset>
  );
}

interface ChoicesProps {
  models: readonly ModelOption[];
  option: ModelOption | undefined;
  draft: Draft;
  change: (part: Partial<Draft>) => void;
}

function Choices({ models, option, draft, change }: ChoicesProps) {
  const words = useMessages();
  const shown = fit(draft, option);
  const alike = models.filter(({ kind }) => kind === draft.kind);
  const shapes = shapesOf(option);
  const lengths = lengthsOf(option);
  const most = option?.nMax ?? 1;
  return (
    <>
      {alike.length > 1 && (
        <Select
          label={words.model}
          value={option ? modelKey(option) : ''}
          onChange={(model) => change({ model })}
        >
          {alike.map((model) => (
            <option key={modelKey(model)} value={modelKey(model)}>
              {model.label || model.model}
            </option>
          ))}
        </Select>
      )}
      {shapes.length > 0 && (
        <Select label={words.shape} value={shown.shape} onChange={(shape) => change({ shape })}>
          <option value="">{words.automatic}</option>
          {shapes.map((shape) => (
            <option key={shape}>{shape}</option>
          ))}
        </Select>
      )}
      {draft.kind === 'video' && lengths.length > 0 && (
        <Select
          label={words.length}
          value={shown.seconds}
          onChange={(seconds) => change({ seconds })}
        >
          <option value="">
            {option?.defaultSeconds ? words.seconds(option.defaultSeconds) : words.automatic}
          </option>
          {lengths
            .filter((seconds) => seconds !== option?.defaultSeconds)
            .map((seconds) => (
              <option key={seconds} value={seconds}>
                {words.seconds(seconds)}
              </option>
            ))}
        </Select>
      )}
      {draft.kind === 'image' && most > 1 && (
        <Select label={words.count} value={shown.count} onChange={(count) => change({ count })}>
          {Array.from({ length: most }, (_, index) => (
            <option key={String(index + 1)}>{index + 1}</option>
          ))}
        </Select>
      )}
      {option?.seed && <SeedField value={draft.seed} onChange={(seed) => change({ seed })} />}
    </>
  );
}

function Select(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  children: ReactNode;
}) {
  return (
    <label className="pu-field">
      {props.label}
      <select
        className="pu-input"
        value={props.value}
        onChange={({ target }) => props.onChange(target.value)}
      >
        {props.children}
      </select>
    </label>
  );
}

function SeedField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const words = useMessages();
  return (
    <label className="pu-field">
      {words.seed}
      <input
        className="pu-input"
        type="number"
        min={0}
        step={1}
        placeholder={words.random}
        value={value}
        onChange={({ target }) => onChange(target.value)}
      />
    </label>
  );
}
