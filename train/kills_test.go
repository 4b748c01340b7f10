//go:build !slow

package train

const kills = 25 // of TestKilled
