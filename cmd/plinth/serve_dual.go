package main

import (
	"context"
	"errors"
	"slices"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/serve"
	"github.com/plinth-ml/plinth/tokenizer"
)

// openDual opens a model of pictures and texts: vectors of both in one space, and labels of a request's own for pictures.
func (s *serveCmd) openDual(c *common, path string, o zoo.Options) (*serve.Model, error) {
	d, err := embed.OpenDual(path, o)
	if err != nil {
		return nil, err
	}
	d.Threads = c.Threads
	text := d.Model.Config.Text
	one := &serve.Model{Tokenizer: d.Tokenizer, Vocab: text.Vocab, Context: text.Context, Dimensions: d.Size(), Ground: d.Prepare.Ground, Bytes: weightBytes(d.Model.Params(), false)}
	one.Embed = func(ctx context.Context, texts []string, _ string) ([][]float32, int, error) {
		cut := 0
		for _, t := range texts {
			if _, err := embed.TextIDs(d.Model.Config, d.Tokenizer, t, false); errors.Is(err, tokenizer.ErrContext) {
				cut++
			}
		}
		d.Truncate = true // the server asks whether that was wanted
		vectors, err := d.Texts(ctx, texts)
		return vectors, cut, refused(ctx, "input", err)
	}
	one.EmbedImages = func(ctx context.Context, images []*media.Image) ([][]float32, error) {
		return d.Images(ctx, len(images), func(i int) (*media.Image, error) { return images[i], nil })
	}
	var kept keptClasses
	one.ClassifyImages = func(ctx context.Context, images []*media.Image, own *serve.OwnLabels) (*serve.Classes, error) {
		switch {
		case own.Multi:
			return nil, serve.Refuse("multi_label", errors.New("the labels of a picture exclude each other"))
		case own.Calibrate:
			return nil, serve.Refuse("calibrate", errors.New("it is for models that write text"))
		case len(own.Names) < 2:
			return nil, serve.Refuse("labels", errors.New("a single label is always right"))
		}
		classes, err := kept.of(ctx, d, own)
		if err != nil {
			return nil, refused(ctx, "labels", err)
		}
		vectors, err := one.EmbedImages(ctx, images)
		if err != nil {
			return nil, err
		}
		answer := &serve.Classes{Labels: own.Names}
		for _, v := range vectors {
			answer.Probabilities = append(answer.Probabilities, classes.Probabilities(v))
		}
		return answer, nil
	}
	return one, nil
}

// keptClass are the vectors of a request's labels.
type keptClass struct {
	own     *serve.OwnLabels
	classes *embed.Classes
}

// keptClasses are those of earlier requests of the same key, the latest first: clients send the same labels for many pictures.
type keptClasses []keptClass

// maxKeptClasses bounds them: 1,024 vectors of 512 numbers each take 17 MB.
const maxKeptClasses = 8

// of returns the vectors of a request's labels, made where they are not kept.
func (k *keptClasses) of(ctx context.Context, d *embed.Dual, own *serve.OwnLabels) (*embed.Classes, error) {
	var one keptClass
	if at := slices.IndexFunc(*k, func(x keptClass) bool {
		return own.Scope == x.own.Scope && slices.Equal(own.Names, x.own.Names) && slices.Equal(own.Templates, x.own.Templates)
	}); at >= 0 {
		one = (*k)[at]
		*k = slices.Delete(*k, at, at+1)
	} else {
		classes, err := d.Classes(ctx, own.Names, own.Templates)
		if err != nil {
			return nil, err
		}
		one = keptClass{own, classes}
	}
	*k = slices.Insert((*k)[:min(len(*k), maxKeptClasses-1)], 0, one)
	return one.classes, nil
}

// served is a linear probe as the server has it: pictures by its own labels.
func (p *pictureClassifier) served() *serve.Model {
	if p == nil {
		return nil
	}
	text := p.d.Model.Config.Text
	return &serve.Model{Tokenizer: p.d.Tokenizer, Vocab: text.Vocab, Context: text.Context, Labels: p.labels, Ground: p.d.Prepare.Ground, Bytes: weightBytes(p.d.Model.Params(), false),
		ClassifyImages: func(ctx context.Context, images []*media.Image, own *serve.OwnLabels) (*serve.Classes, error) {
			if own != nil {
				return nil, serve.Refuse("labels", errors.New("this model has its own labels"))
			}
			vectors, err := p.d.Images(ctx, len(images), func(i int) (*media.Image, error) { return images[i], nil })
			if err != nil {
				return nil, err
			}
			answer := &serve.Classes{Labels: p.labels}
			for _, v := range vectors {
				answer.Probabilities = append(answer.Probabilities, p.probabilities(v))
			}
			return answer, nil
		}}
}
