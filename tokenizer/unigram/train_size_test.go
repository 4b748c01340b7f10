//go:build !slow

package unigram

const trainBytes = 150_000
