// Package hub is the local store of published models and the client that fills it from the Hugging Face Hub, or from a server that speaks
// as it does.
//
// The store is Hugging Face's own cache, so that models fetched by either side are there for both:
//
//	models--org--name/
//	  refs/main                      the commit that the revision stood for
//	  blobs/HASH                     a file's bytes, under its SHA-256 (large files) or git object id (small ones)
//	  snapshots/COMMIT/config.json   a link to ../../blobs/HASH
//
// A blob appears under its name when its bytes have been checked, a snapshot is named by refs when it is whole. What comes from a server never
// becomes a path unchecked: names, hashes and commits have a form, and everything is opened within the store's root.
package hub
