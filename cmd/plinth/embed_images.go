package main

import (
	"context"
	"time"

	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/zoo"
)

// isDual tells whether the model is a CLIP. --images wants one.
func (v *embedCmd) isDual() (bool, error) {
	if len(v.Images) > 0 {
		return true, nil
	}
	path, err := modelPath(v.Model)
	if err != nil {
		return false, err
	}
	_, at, err := readEmbedding(path, v.Adapter)
	if err != nil {
		return false, err
	}
	m, err := zoo.Describe(at)
	_, dual := m.(*clip.Model)
	return dual && err == nil, nil // another reader tells what is wrong with the folder
}

// runDual makes vectors of one space of texts, or of the pictures of --images.
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
	if len(v.Images) > 0 {
		if files, err = picturesIn(ctx, "--images", v.Images, false); err != nil {
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
	if len(v.Images) == 0 {
		vectors, err := d.Texts(ctx, texts)
		if err != nil {
			return err
		}
		o.Seconds = time.Since(began).Seconds()
		return v.write(c, o, "text", texts, vectors)
	}
	all, bad, err := pictureVectors(ctx, d, files, how)
	if err != nil {
		return err
	}
	sayBad(c, bad)
	var names []string
	var vectors [][]float32
	for i, vector := range all {
		if vector != nil {
			names, vectors = append(names, files[i]), append(vectors, vector)
		}
	}
	c.say("%s embedded, %d not read", plural(len(vectors), "picture"), len(bad))
	if len(vectors) == 0 {
		return errNoneRead
	}
	o.Images, o.Bad, o.Seconds = len(vectors), bad, time.Since(began).Seconds()
	return v.write(c, o, "image", names, vectors)
}

// only is a text where it counts, or "".
func only(counts bool, text string) string {
	if counts {
		return text
	}
	return ""
}

// countTrue is how many of the conditions hold.
func countTrue(list ...bool) (n int) {
	for _, b := range list {
		if b {
			n++
		}
	}
	return n
}
