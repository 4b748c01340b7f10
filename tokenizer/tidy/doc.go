// Package tidy repairs text as Python's ftfy does, which OpenAI's CLIP was trained behind: UTF-8 that was read in another encoding,
// HTML entities, ligatures, full-width letters, curly quotes, line breaks, terminal and control codes, and canonical composition (NFC).
//
// The rules and the classes of characters are those of ftfy 6.3.1 by Robyn Speer (Apache License 2.0).
package tidy
