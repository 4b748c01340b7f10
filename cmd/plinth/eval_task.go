package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/eval"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tokenizer"
)

// taskFlags are eval's flags for downstream tasks.
type taskFlags struct {
	Task    string `enum:",lambada,mmlu,retrieval,${adapt_tasks}" default:"" help:"Task instead of perplexity: lambada (last words; a table with a column of passages), mmlu (files SUBJECT_test.csv, with SUBJECT_dev.csv beside them or in ../dev for the shots), retrieval (of a CLIP: pictures by their captions and captions by their pictures), or a task of plinth adapt (${adapt_tasks}) that the model is finished for; images is also zero-shot classification by a CLIP." placeholder:"NAME" group:"Tasks:"`
	Shifted string `help:"Of adapt's tasks: a second test file, from elsewhere, scored beside --data." placeholder:"FILE" group:"Tasks:"`
	Shots   int    `default:"5" help:"Answered questions before each question of mmlu, fewer where they do not fit." placeholder:"K" group:"Tasks:"`
	Items   bool   `help:"Of lambada, with --json: the log-probability of each last word too, and whether it is the most probable." group:"Tasks:"`
	Limit   int    `default:"0" help:"Of lambada and mmlu: most examples of each file; 0 means all." placeholder:"N" group:"Tasks:"`
	adapterFlags
	columnFlags
	tagFlags
	questionFlags `embed:"" prefix:"qa-"`
	summaryFlags
	embedFlags
	zeroShotPictureFlags
}

// runTask evaluates a task.
func (e *evalCmd) runTask(ctx context.Context, c *common, m zoo.Model, tok *tokenizer.Tokenizer) error {
	if e.Shots < 0 || e.Limit < 0 {
		return usagef("--shots %d, --limit %d: want 0 or more", e.Shots, e.Limit)
	}
	l := eval.NewLikelihoods(m, tok, c.kernels())
	if e.Task == "mmlu" {
		return e.mmlu(ctx, c, l)
	}
	return e.lambada(ctx, c, l)
}

func (e *evalCmd) lambada(ctx context.Context, c *common, l *eval.Likelihoods) error {
	var requests []task.Request
	for _, path := range e.Data {
		if err := e.passages(ctx, path, &requests); err != nil {
			return err
		}
	}
	c.say("lambada: %d passages", len(requests))
	answers, err := l.Answer(ctx, requests)
	if err != nil {
		return err
	}
	s, err := task.ScoreLAMBADA(answers)
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(e.Data, " "), err)
	}
	out := struct {
		task.LAMBADAScores
		Examples int        `json:"examples"`
		Cut      int        `json:"cut"`
		Items    []lastWord `json:"items,omitempty"`
	}{s, len(answers), l.Cut, nil}
	if e.Items {
		for _, a := range answers {
			out.Items = append(out.Items, lastWord(a))
		}
	}
	return c.finish(out, fmt.Sprintf("%d passages: accuracy %.4f, perplexity %.2f of the last word\n%s", len(answers), s.Accuracy, s.Perplexity, cutText(l.Cut)))
}

// lastWord is an item of lambada.
type lastWord struct {
	LogProb float64 `json:"logprob"`
	Greedy  bool    `json:"greedy"`
}

// cutText says that contexts were cut.
func cutText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("  %d were longer than the model's context and lost their beginning\n", n)
}

// passages adds the requests of one table.
func (e *evalCmd) passages(ctx context.Context, path string, requests *[]task.Request) error {
	t, err := data.OpenTable(path, data.TableOptions{})
	if err != nil {
		return err
	}
	defer t.Close()
	rows, err := t.Select(ctx, data.Column{For: "--text", Name: e.Text})
	if err != nil {
		return err
	}
	n := 0
	for row, err := range rows {
		if err != nil {
			return err
		}
		if n++; e.Limit > 0 && n > e.Limit {
			break
		}
		r, err := task.LAMBADA(row.Fields[0])
		if err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		*requests = append(*requests, r)
	}
	return nil
}

// subjectScore is the accuracy on one subject.
type subjectScore struct {
	Subject   string  `json:"subject"`
	Accuracy  float64 `json:"accuracy"`
	Questions int     `json:"questions"`
	Shots     float64 `json:"shots"` // mean that fitted
	Cut       int     `json:"cut"`   // questions that lost their beginning
}

func (e *evalCmd) mmlu(ctx context.Context, c *common, l *eval.Likelihoods) error {
	files, err := subjectFiles(e.Data)
	if err != nil {
		return err
	}
	var out struct {
		Accuracy  float64        `json:"accuracy"` // over all questions
		Mean      float64        `json:"mean"`     // of the subjects' accuracies
		Questions int            `json:"questions"`
		Cut       int            `json:"cut"`
		Subjects  []subjectScore `json:"subjects"`
	}
	var text strings.Builder
	right := 0.0
	for _, path := range files {
		s, err := e.subject(ctx, path, l)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		c.say("%s: %.4f", s.Subject, s.Accuracy)
		out.Subjects = append(out.Subjects, s)
		out.Questions, out.Cut = out.Questions+s.Questions, out.Cut+s.Cut
		out.Mean += s.Accuracy / float64(len(files))
		right += s.Accuracy * float64(s.Questions)
		fmt.Fprintf(&text, "%-40s %.4f of %d, %.1f shots\n", s.Subject, s.Accuracy, s.Questions, s.Shots)
	}
	out.Accuracy = right / float64(out.Questions)
	return c.finish(out, fmt.Sprintf("%s%-40s %.4f of %d, mean of the subjects %.4f\n%s", text.String(), "all", out.Accuracy, out.Questions, out.Mean, cutText(out.Cut)))
}

const testSuffix = "_test.csv"

// subjectFiles are the files of questions, given or in folders.
func subjectFiles(paths []string) (files []string, err error) {
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (path == root || strings.HasSuffix(path, testSuffix)) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
	}
	for _, f := range files {
		if !strings.HasSuffix(f, testSuffix) {
			return nil, fmt.Errorf("--data %s: want a file SUBJECT%s, or a folder of them", f, testSuffix)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("--data: no file SUBJECT%s in %s", testSuffix, strings.Join(paths, " "))
	}
	return files, nil
}

// readMMLU reads one file of questions.
func readMMLU(path string) ([]task.MMLU, error) {
	b, err := file.Read(path, maxText)
	if err != nil {
		return nil, err
	}
	return task.ReadMMLU(bytes.NewReader(b))
}

func (e *evalCmd) subject(ctx context.Context, path string, l *eval.Likelihoods) (subjectScore, error) {
	folder, subject := filepath.Dir(path), strings.TrimSuffix(filepath.Base(path), testSuffix)
	s := subjectScore{Subject: subject}
	questions, err := readMMLU(path)
	if err != nil {
		return s, err
	}
	var shots []task.MMLU
	if e.Shots > 0 {
		name := subject + "_dev.csv"
		if shots, err = readMMLU(filepath.Join(folder, name)); os.IsNotExist(err) {
			shots, err = readMMLU(filepath.Join(folder, "..", "dev", name))
		}
		if err != nil {
			return s, fmt.Errorf("the shots (--shots 0 needs none): %w", err)
		}
		if len(shots) < e.Shots {
			return s, fmt.Errorf("--shots %d: %s has %d", e.Shots, name, len(shots))
		}
		shots = shots[:e.Shots]
	}
	if e.Limit > 0 {
		questions = questions[:min(e.Limit, len(questions))]
	}
	var choices []task.Choice
	var requests []task.Request
	for _, q := range questions {
		choice, used, err := task.MMLUChoice(subject, shots, q, func(context string) bool {
			return !slices.ContainsFunc([]string{" A", " B", " C", " D"}, func(letter string) bool { return !l.Fits(task.Request{Context: context, Continuation: letter}) })
		})
		if errors.Is(err, task.ErrTooLong) { // it loses its beginning, as a passage of LAMBADA does
			s.Cut++
			choice, used, err = task.MMLUChoice(subject, nil, q, func(string) bool { return true })
		}
		if err != nil {
			return s, err
		}
		s.Shots += float64(used) / float64(len(questions))
		choices, requests = append(choices, choice), append(requests, choice.Requests()...)
	}
	answers, err := l.Answer(ctx, requests)
	if err != nil {
		return s, err
	}
	scores, err := task.ScoreChoices(choices, answers)
	s.Accuracy, s.Questions = scores.Accuracy, len(questions)
	return s, err
}
