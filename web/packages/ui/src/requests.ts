export type GenerationKind = 'image' | 'video';

/** One model that can be asked, as `GET /providers` tells it. */
export interface ModelOption {
  provider: string;
  model: string;
  kind: GenerationKind;
  label?: string | null;
  aspectRatios?: readonly string[] | null;
  /** The model's own size, in pixels. */
  defaultSize?: readonly number[] | null;
  secondsMax?: number | null;
  defaultSeconds?: number | null;
  nMax?: number | null;
  seed?: boolean | null;
}

export interface ComposerRequest {
  prompt: string;
  provider?: string;
  model?: string;
  n?: number;
  aspectRatio?: string;
  seconds?: number;
  seed?: number;
}

/** What the fields hold; an empty string leaves the choice to the model. */
export interface Draft {
  kind: GenerationKind;
  model: string;
  prompt: string;
  shape: string;
  count: string;
  seconds: string;
  seed: string;
}

export const EMPTY_DRAFT: Draft = {
  kind: 'image',
  model: '',
  prompt: '',
  shape: '',
  count: '1',
  seconds: '',
  seed: '',
};

export function modelKey({ provider, model }: ModelOption): string {
  return `${provider}/${model}`;
}

const LENGTHS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 45, 60];

/** The shapes a model offers, as ratios `W:H`. */
export function shapesOf(option: ModelOption | undefined): readonly string[] {
  return option?.aspectRatios ?? [];
}

/** Lengths in seconds worth offering, up to the longest the model makes. */
export function lengthsOf(option: ModelOption | undefined): readonly number[] {
  const most = option?.secondsMax;
  if (!most) return [];
  const below = LENGTHS.filter((seconds) => seconds < most);
  return [...below, most];
}

/** The wanted kind, or the only one there is. */
export function offered(models: readonly ModelOption[], kind: GenerationKind): GenerationKind {
  return models.some((model) => model.kind === kind) ? kind : (models[0]?.kind ?? kind);
}

/** The model asked for, or the first of its kind. */
export function choose(
  models: readonly ModelOption[],
  { kind, model }: Draft,
): ModelOption | undefined {
  const alike = models.filter((option) => option.kind === kind);
  return alike.find((option) => modelKey(option) === model) ?? alike[0];
}

/** The draft without what this model does not offer. */
export function fit(draft: Draft, option: ModelOption | undefined): Draft {
  const lengths = lengthsOf(option).map(String);
  return {
    ...draft,
    shape: shapesOf(option).includes(draft.shape) ? draft.shape : '',
    seconds: lengths.includes(draft.seconds) ? draft.seconds : '',
    count: Number(draft.count) <= (option?.nMax ?? 1) ? draft.count : '1',
    seed: option?.seed ? draft.seed : '',
  };
}

export function toRequest(draft: Draft, option: ModelOption | undefined): ComposerRequest {
  const { kind, prompt, count, seconds, seed } = draft;
  return {
    prompt: prompt.trim(),
    ...(option && { provider: option.provider, model: option.model }),
    ...(draft.shape && { aspectRatio: draft.shape }),
    ...(kind === 'image' && Number(count) > 1 && { n: Number(count) }),
    ...(kind === 'video' && seconds && { seconds: Number(seconds) }),
    ...(seed !== '' && { seed: Number(seed) }),
  };
}

/** The fields that would make this request again. */
export function toDraft(kind: GenerationKind, request: Record<string, unknown>): Draft {
  const { prompt, provider, model, n, aspectRatio, seconds, seed } = request;
  const text = (value: unknown) => (value === undefined || value === null ? '' : String(value));
  return {
    kind,
    prompt: text(prompt),
    model: provider && model ? `${provider}/${model}` : '',
    shape: text(aspectRatio),
    count: text(n) || '1',
    seconds: text(seconds),
    seed: text(seed),
  };
}
