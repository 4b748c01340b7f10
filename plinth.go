// Package plinth is the root of the module; see README.md and docs/architecture.md. The program is cmd/plinth.
package plinth
