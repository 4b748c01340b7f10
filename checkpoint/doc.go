// Package checkpoint reads and writes safetensors files, alone or as shards with an index, and binds their tensors to parameters by
// name.
//
// A file is checked whole before anything is allocated for it: header length, names, shapes, and offsets that cover the data
// without hole or overlap. It accepts and refuses as the published safetensors reader does, but for these, which it refuses:
//
//   - two tensors or two metadata keys of one name;
//   - keys of a tensor other than dtype, shape and data_offsets;
//   - a tensor, or a dtype, in another form of JSON than an object, or a string;
//   - metadata that is null;
//   - space before the header's first brace;
//   - the dtypes F4, F6_E2M3, F6_E3M2, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ and C64, which no kernel here takes;
//   - more than 64 dimensions, 262,144 tensors or 65,536 metadata keys;
//   - sizes, offsets, or products of a shape's leading sizes with the element, of 2^63 or more, even where a later size is zero.
package checkpoint
