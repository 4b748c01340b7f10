// Package scaling fits scaling laws to training runs and plans the next run with them: how loss depends on parameters N, training tokens D
// and compute C (Kaplan et al. 2020, arXiv 2001.08361; Hoffmann et al. 2022, arXiv 2203.15556), and what a budget is best spent on.
package scaling
