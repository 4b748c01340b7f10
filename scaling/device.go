package scaling

import (
	"fmt"
	"strconv"
	"strings"
)

// Device is one accelerator as its maker's data sheet has it. Rates are dense, without sparsity, and count a multiply-add as two.
type Device struct {
	Name      string  `json:"name"`
	Peak      float64 `json:"peak_flops"`   // FLOP/s of 16-bit products
	Memory    float64 `json:"memory_bytes"` // bytes
	Bandwidth float64 `json:"memory_rate"`  // bytes/s of its memory
	Link      float64 `json:"link_rate"`    // bytes/s and direction to the devices of the same node
	Network   float64 `json:"network_rate"` // bytes/s and direction to other nodes, a device's share in the maker's usual server
	Node      int     `json:"node"`         // devices in a node
	Source    string  `json:"source"`
}

// Devices is the table of known devices; prices change and are left to the caller.
var Devices = []Device{
	{"v100-32gb", 125e12, 32e9, 900e9, 150e9, 6.25e9, 8, "NVIDIA V100 data sheet (SXM2, FP16 tensor), DGX-1: 4x 100 Gb/s"},
	{"a100-40gb", 312e12, 40e9, 1555e9, 300e9, 25e9, 8, "NVIDIA A100 data sheet (SXM4), DGX A100: 8x 200 Gb/s"},
	{"a100-80gb", 312e12, 80e9, 2039e9, 300e9, 25e9, 8, "NVIDIA A100 data sheet (SXM4), DGX A100: 8x 200 Gb/s"},
	{"h100", 989.4e12, 80e9, 3350e9, 450e9, 50e9, 8, "NVIDIA H100 data sheet (SXM5), DGX H100: 8x 400 Gb/s"},
	{"h200", 989.4e12, 141e9, 4800e9, 450e9, 50e9, 8, "NVIDIA H200 data sheet (SXM5), DGX H200: 8x 400 Gb/s"},
	{"b200", 2250e12, 180e9, 8000e9, 900e9, 50e9, 8, "NVIDIA DGX B200 data sheet (an eighth of it): 8x 400 Gb/s"},
	{"mi250x", 383e12, 128e9, 3277e9, 150e9, 25e9, 4, "AMD Instinct MI250X data sheet; 4x 200 Gb/s as in Frontier's nodes"},
	{"mi300x", 1307.4e12, 192e9, 5300e9, 448e9, 50e9, 8, "AMD Instinct MI300X data sheet; 8x 400 Gb/s"},
	{"rtx-4090", 165.2e12, 24e9, 1008e9, 32e9, 12.5e9, 8, "NVIDIA Ada architecture paper (FP16 with FP32 sums); PCIe 4.0 x16, 100 Gb/s"},
	{"tpu-v3", 123e12, 32e9, 900e9, 70e9, 70e9, 1024, "Google Cloud TPU v3 page (a chip of two cores)"},
	{"tpu-v4", 275e12, 32e9, 1228e9, 150e9, 6.25e9, 4096, "Google Cloud TPU v4 page; a pod counts as a node"},
	{"tpu-v5e", 197e12, 16e9, 819e9, 100e9, 6.25e9, 256, "Google Cloud TPU v5e page; a pod counts as a node"},
	{"tpu-v5p", 459e12, 95e9, 2765e9, 300e9, 6.25e9, 8960, "Google Cloud TPU v5p page; a pod counts as a node"},
}

// DeviceByName returns a device of the table, or one that is known by its FLOP/s alone: "2.5e14".
func DeviceByName(name string) (Device, error) {
	var names []string
	for _, d := range Devices {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	if peak, err := strconv.ParseFloat(name, 64); err == nil && peak > 0 && peak < 1e30 {
		return Device{Name: name, Peak: peak, Source: "given"}, nil
	}
	return Device{}, fmt.Errorf("device %q is neither a rate in FLOP/s nor known; known: %s", name, strings.Join(names, ", "))
}
