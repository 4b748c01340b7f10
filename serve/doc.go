// Package serve answers HTTP as OpenAI's servers do: chat and text completions, streamed or whole, tokens, models, health and metrics. It knows nothing of
// files: models come ready, with their engines.
package serve
