// Package pickle reads the tensors of PyTorch files (.bin, .pt, .pth): zip archives with stored members, and the older format before them.
//
// A pickle is a program for a stack machine that can call any function of Python. The machine here knows the plain values, and of functions those that
// build tensors, parameters and dictionaries:
//
//	collections.OrderedDict  torch.Size  torch.*Storage  torch.float32 and the other element types
//	torch._utils._rebuild_tensor, _rebuild_tensor_v2, _rebuild_tensor_v3, _rebuild_parameter  torch.nn.parameter.Parameter
//
// Every other name is refused, and the error gives it: posix.system, builtins.eval. No code of the file is ever run. Steps and memory are bounded by the
// file's length, and each tensor must lie in its storage.
//
// A tensor's name is the path of keys that leads to it, joined by dots; values that are no tensors are passed over. Of what a training program saved, the
// model's tensors are read, without the wrappers around them (state_dict, model_state_dict, model, module) and the prefixes that all names have (module., _orig_mod.).
package pickle
