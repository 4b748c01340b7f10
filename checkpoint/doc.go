// Package checkpoint reads and writes safetensors files and binds their tensors to parameters by name.
//
// A file is checked whole before anything is allocated for it: header length, names, shapes, and offsets that cover the data
// without hole or overlap. Rules follow the published safetensors reader, and are stricter where that is lax: duplicate and
// unknown keys are refused, and ranks and counts are bounded.
package checkpoint
