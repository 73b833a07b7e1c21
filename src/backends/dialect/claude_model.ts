/**
 * What a Claude model's name says of what it accepts.
 *
 * Whoever writes for the chat API cannot know these limits, and a request that
 * breaks one is refused as a whole. Names come as `claude-sonnet-4-5-20250929`,
 * `claude-3-7-sonnet-latest`, `anthropic.claude-opus-4-6-v1`, …: the first
 * number is the major version, a second one of at most two digits the minor.
 *
 * Cut-offs, from the vendor's migration notes and from Bedrock's documentation:
 *
 *     from 4.1   not both `temperature` and `top_p`
 *     from 4.6   `thinking: {type: "adaptive"}` with an effort (alone from 4.7 on)
 *     from 4.7   no `temperature`, `top_p` or `top_k` at all
 *
 * A name that is not a Claude's, or has no version, is treated as old: servers
 * that imitate the API take the old parameters.
 *
 * @module
 */

/** What one model accepts. */
export interface ClaudeTraits {
  /** Takes `temperature`, `top_p` and `top_k`. */
  readonly sampling: boolean;
  /** Takes `temperature` together with `top_p`. */
  readonly bothSamplers: boolean;
  /** Thinks adaptively with an effort; otherwise within a budget of tokens. */
  readonly adaptive: boolean;
}

/** Reads a model's name. */
export function claudeTraits(model: string): ClaudeTraits {
  const name = model.toLowerCase();
  if (/claude-mythos/.test(name)) return { sampling: false, bothSamplers: false, adaptive: true };
  const match = /claude-(?:[a-z]+-)?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?/.exec(name);
  const version = match === null ? 0 : Number(match[1]) + Number(match[2] ?? 0) / 100;
  return { sampling: version < 4.07, bothSamplers: version < 4.01, adaptive: version >= 4.06 };
}
