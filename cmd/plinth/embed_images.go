package main

import (
	"cmp"
	"context"
	"time"

	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/zoo"
)

// isDual tells whether a model, with an adapter or "", is a CLIP.
func isDual(name, adapter string) (bool, error) {
	path, err := modelPath(name)
	if err != nil {
		return false, err
	}
	_, at, err := readEmbedding(path, adapter)
	if err != nil {
		return false, err
	}
	m, err := zoo.Describe(at)
	_, dual := m.(*clip.Model)
	return dual && err == nil, nil // another reader tells what is wrong with the folder
}

// runDual makes vectors of one space of texts, and then of the pictures of --images.
func (v *embedCmd) runDual(ctx context.Context, c *common, texts []string) error {
	switch {
	case v.Search != "":
		return usagef("--search is for models of texts: plinth search finds pictures")
	case v.Pool != "" || v.Prefix != nil || v.DocPrefix != nil || v.Dimensions != 0 || v.MaxTokens != 0 || v.Adapter != "":
		return usagef("--pool, --prefix, --dimensions, --max-tokens and --adapter are for models of texts alone, not for a CLIP")
	}
	how, err := v.decoding()
	if err != nil {
		return err
	}
	var files []string
	var unlisted []badFile
	if len(v.Images) > 0 {
		if files, unlisted, err = picturesIn(ctx, "--images", v.Images, false); err != nil {
			return err
		}
		if v.Out != "" {
			if err := checkOut("--out", v.Out, files); err != nil {
				return err
			}
		}
	}
	d, err := openPairs(c, v.Model)
	if err != nil {
		return err
	}
	d.Int8 = v.Int8
	began := time.Now()
	o := embedded{Model: v.Model, Texts: len(texts), Dimensions: d.Size()}
	said, err := d.Texts(ctx, texts)
	if err != nil {
		return err
	}
	var rows []embeddedRow
	for i, vector := range said {
		rows = append(rows, embeddedRow{Text: texts[i], Embedding: vector})
	}
	if len(v.Images) > 0 {
		seen, bad, err := pictureVectors(ctx, d, files, how)
		if err != nil {
			return err
		}
		for i, vector := range seen {
			if vector != nil {
				rows = append(rows, embeddedRow{Image: files[i], Embedding: vector})
			}
		}
		o.Images, o.Bad = len(rows)-len(texts), append(unlisted, bad...)
		sayBad(c, o.Bad)
		how.sayDropped(c)
		c.say("%s embedded, %d not read", plural(o.Images, "picture"), len(o.Bad))
		if len(rows) == 0 {
			return errNoneRead
		}
	}
	o.Seconds = time.Since(began).Seconds()
	return cmp.Or(v.write(c, o, rows), unread(o.Bad))
}
