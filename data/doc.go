// Package data turns corpora into batches. Documents and GoSource read texts. Prepare tokenises them into a folder: shards of tokens
// (train-00000.bin), the ends of their documents (.idx), a packing plan (train.plan), the tokenizer and meta.json, all with checksums.
// Open maps the folder, and a Loader gives the batches of any step as a pure function of seed and step, so that a run resumes exactly.
// A sequence is packed from pieces: attention never crosses a piece, and each piece belongs to one document.
package data
