// Package pretrain holds objectives of pre-training beside the next token's, which package train has itself: masked tokens and next sentences.
package pretrain
