// Label tells which of several labels fits a picture best, by a CLIP that was not trained for them: go run ./examples/label MODEL PICTURE LABEL...
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/zoo"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 4 {
		log.Fatal("usage: label MODEL PICTURE LABEL...")
	}
	if err := label(context.Background(), os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		log.Fatal(err)
	}
}

func label(ctx context.Context, model, picture string, labels []string) error {
	clip, err := embed.OpenDual(model, zoo.Options{})
	if err != nil {
		return err
	}
	classes, err := clip.Classes(ctx, labels, nil) // "a photo of a {}."
	if err != nil {
		return err
	}
	vectors, err := clip.Images(ctx, 1, func(int) (*media.Image, error) { return clip.Prepare.Open(picture, media.Limits{}) })
	if err != nil {
		return err
	}
	for i, p := range classes.Probabilities(vectors[0]) {
		fmt.Printf("%6.2f %% %s\n", 100*p, labels[i])
	}
	return nil
}
