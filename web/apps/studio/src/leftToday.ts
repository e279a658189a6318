import type { UsageLimit } from '@project/realtime';

/** What may still be made today, in words; nothing where no limit ends with the day. */
export function leftToday(limits: readonly UsageLimit[]): string {
  const said = limits.flatMap(({ name, limit, left }) => {
    if (name === 'items') return [`${left} of ${limit}`];
    return name === 'spend' ? [`${dollars(left)} of ${dollars(limit)}`] : [];
  });
  return said.length > 0 ? `${said.join(' and ')} left today` : '';
}

function dollars(amount: number): string {
  return new Intl.NumberFormat(undefined, { style: 'currency', currency: 'USD' }).format(amount);
}
