import { type ServiceOptions, useGenerate } from '@project/realtime';
import { type Draft, PromptComposer } from '@project/ui';
import { visible } from './errors.js';
import { useModels } from './useModels.js';

export interface Seed {
  key: number;
  draft: Partial<Draft>;
}

/** The composer over what this service can make. */
export function Create({ service, seed }: { service: ServiceOptions; seed: Seed }) {
  const { models, error: modelsError, refetch } = useModels(service);
  const { generate, isSubmitting, error } = useGenerate(service);
  return (
    <section aria-label="Create" className="create">
      <PromptComposer
        key={seed.key}
        models={models}
        initial={seed.draft}
        isSubmitting={isSubmitting}
        error={visible(error ?? modelsError)}
        // The refusal is shown by `error`; the card of an accepted job appears by itself.
        onSubmit={(kind, request) => void generate(kind, request).catch(() => undefined)}
      />
      {visible(modelsError) && (
        <button type="button" className="pu-button" data-look="quiet" onClick={refetch}>
          Ask again what can be made
        </button>
      )}
    </section>
  );
}
