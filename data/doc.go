// Package data turns corpora into batches: readers give documents, Prepare tokenises them into shards with a packing plan,
// Open maps the shards, and a Loader gives the batches of any step as a pure function of seed and step. Attention never crosses
// a piece, and each piece belongs to one document.
package data
