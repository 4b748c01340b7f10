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
	var last serve.OwnLabels // clients send the same labels for many pictures
	var classes *embed.Classes
	one.ClassifyImages = func(ctx context.Context, images []*media.Image, own *serve.OwnLabels) (*serve.Classes, error) {
		switch {
		case own.Multi:
			return nil, serve.Refuse("multi_label", errors.New("the labels of a picture exclude each other"))
		case own.Calibrate:
			return nil, serve.Refuse("calibrate", errors.New("it is for models that write text"))
		case len(own.Names) < 2:
			return nil, serve.Refuse("labels", errors.New("a single label is always right"))
		}
		if classes == nil || !slices.Equal(own.Names, last.Names) || !slices.Equal(own.Templates, last.Templates) {
			d.Truncate = false
			made, err := d.Classes(ctx, own.Names, own.Templates)
			if err != nil {
				return nil, refused(ctx, "labels", err)
			}
			classes, last = made, *own
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
