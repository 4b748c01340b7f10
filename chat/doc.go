// Package chat turns a conversation into the text that a model was trained on: messages and tools in OpenAI's JSON, templates as published
// models carry them (run by chat/jinja within a budget), and what a model's files say about chat; it reads the tool calls of an answer. Templates of well-known formats are built in,
// to be asked for by name: a model without a template is an error, never a guess.
package chat
