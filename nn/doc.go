// Package nn holds the layers that model families share: plain structs whose tagged fields are their parameters.
//
// A constructor makes shapes only, so that a model of any size can be counted. Init gives the parameters memory and their first
// values; a loader fills them from a file. Parameters are walked by path, and the path is the name in the checkpoint file.
package nn
