// Package embed turns texts into vectors whose angles tell how near their meanings are (Reimers & Gurevych 2019, Sentence-BERT): the features of an
// encoder or a decoder, pooled over each text's tokens. Folders of sentence-transformers are read and written.
package embed
