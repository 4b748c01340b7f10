package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model/zoo"
)

type embedCmd struct {
	Texts      []string `arg:"" optional:"" help:"Texts."`
	Model      string   `required:"" help:"Folder of sentence-transformers, or any model: folder, GGUF file or model of the store." placeholder:"DIR|NAME"`
	Data       string   `help:"Table of texts: .csv, .tsv, .jsonl or .parquet, or - for standard input with --format." placeholder:"FILE"`
	Out        string   `help:"Write the vectors to a file: .npy, .jsonl or .csv. Without it they are printed as JSON lines." placeholder:"FILE"`
	Search     string   `help:"Rank the texts of this table for each text, by the cosine of their vectors." placeholder:"FILE"`
	Top        int      `default:"5" help:"Of --search: texts shown, the nearest first; 0 means all." placeholder:"N"`
	Pool       string   `help:"How tokens become a vector: mean, cls, last, max, mean_sqrt_len_tokens or weightedmean. Default: what the folder says, or mean." placeholder:"NAME"`
	Normalize  bool     `help:"Scale vectors to length 1; what a folder's 2_Normalize does anyway."`
	Prefix     *string  `help:"What stands before each text, such as 'query: '. Default: the folder's default prompt, and with --search its prompt query." placeholder:"TEXT"`
	DocPrefix  *string  `name:"search-prefix" help:"What stands before each text of --search, such as 'passage: '. Default: the folder's prompt document or passage." placeholder:"TEXT"`
	Dimensions int      `default:"0" help:"Numbers of a vector that are kept, from the front, for models trained so; 0 means all." placeholder:"N"`
	MaxTokens  int      `default:"0" help:"Most tokens of a text, special ones included; 0 means what the folder says, or the model's context." placeholder:"N"`
	Images     []string `help:"Of a CLIP: pictures, files and folders with the folders in them, behind the texts where there are some; the flag repeated for several." placeholder:"PATH" sep:"none"`
	Int8       bool     `name:"int8" help:"Linear layers with numbers of 8 bits: about twice as fast, vectors a little off."`
	decodeFlags
	adapterFlags
	Text     string `default:"text" help:"Column of the text: its name, or its number from 1." placeholder:"COL" group:"Table"`
	Format   string `enum:",csv,tsv,jsonl,parquet" default:"" help:"Format of the tables; without it their names tell it." placeholder:"NAME" group:"Table"`
	NoHeader bool   `help:"The first record is data: columns go by their numbers." group:"Table"`
}

func (*embedCmd) Help() string {
	return `Vectors of texts, or of a CLIP's pictures. Examples: plinth embed --model all-MiniLM-L6-v2 --data texts.csv --out vectors.npy; plinth embed --model all-MiniLM-L6-v2 --search docs.csv "how do I return it?"`
}

// found is a text of --search for a query.
type found struct {
	Row    int     `json:"row"` // of the table, from 1
	Text   string  `json:"text"`
	Cosine float64 `json:"cosine"`
}

func (v *embedCmd) Run(ctx context.Context, c *common) error {
	switch {
	case len(v.Texts) > 0 && v.Data != "":
		return usagef("give texts or --data FILE, one of them, and of a CLIP --images PATH beside them")
	case len(v.Texts) == 0 && v.Data == "" && len(v.Images) == 0:
		return usagef("give texts or --data FILE, one of them, or of a CLIP --images PATH")
	case v.Top < 0:
		return usagef("--top %d: want at least 0, which means all", v.Top)
	case v.Out != "" && v.Search != "":
		return usagef("--out is for vectors: with --search the ranking is printed")
	case v.Out != "" && v.writer() == nil:
		return usagef("--out %s: want a name that ends in .npy, .jsonl or .csv", v.Out)
	}
	if err := noneEmpty(v.Texts); err != nil {
		return err
	}
	if v.Out != "" {
		if err := checkOut("--out", v.Out, nil); err != nil {
			return err
		}
	}
	texts, docs, kind := v.Texts, []string(nil), ""
	var err error
	if v.Data != "" {
		if texts, err = v.read(ctx, v.Data); err != nil {
			return err
		}
	}
	if v.Search != "" {
		kind = "query"
		if docs, err = v.read(ctx, v.Search); err != nil {
			return fmt.Errorf("--search: %w", err)
		}
	}
	dual, err := len(v.Images) > 0, error(nil) // --images wants a CLIP
	if !dual {
		dual, err = isDual(v.Model, v.Adapter)
	}
	switch {
	case err != nil:
		return err
	case dual:
		return v.runDual(ctx, c, texts)
	}
	e, err := v.open(c)
	if err != nil {
		return err
	}
	began := time.Now()
	vectors, cut, err := v.embed(ctx, e, v.Prefix, kind, "--prefix", v.Data, texts)
	if err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	if cut > 0 {
		c.say("note: %d texts are longer than the limit of tokens and lost their ends", cut)
	}
	if v.Search != "" {
		return v.search(ctx, c, e, texts, vectors, docs)
	}
	rows := make([]embeddedRow, len(texts))
	for i, text := range texts {
		rows[i] = embeddedRow{Text: text, Embedding: vectors[i]}
	}
	return v.write(c, embedded{Model: v.Model, Texts: len(texts), Dimensions: e.Size(), Cut: cut, Seconds: seconds}, rows)
}

// embedded is the object of a run.
type embedded struct {
	Model      string      `json:"model"`
	Texts      int         `json:"texts,omitempty"`
	Images     int         `json:"images,omitempty"`
	Dimensions int         `json:"dimensions"`
	Cut        int         `json:"cut"`
	Seconds    float64     `json:"seconds"`
	Bad        []badFile   `json:"not_read,omitzero"`
	Out        string      `json:"out,omitempty"`
	Embeddings [][]float32 `json:"embeddings,omitempty"`
}

// embeddedRow is the vector of a text, or of a picture.
type embeddedRow struct {
	Text      string    `json:"text,omitempty"`
	Image     string    `json:"image,omitempty"` // its file
	Embedding []float32 `json:"embedding"`
}

// write puts the vectors where they are wanted.
func (v *embedCmd) write(c *common, o embedded, rows []embeddedRow) error {
	if v.Out != "" {
		if err := file.WriteAtomic(v.Out, 0o644, func(w io.Writer) error { return v.writer()(w, rows) }); err != nil {
			return err
		}
		o.Out = v.Out
		return c.finish(o, fmt.Sprintf("%d vectors of %d numbers in %.1f s: %s\n", len(rows), o.Dimensions, o.Seconds, v.Out))
	}
	if c.JSON {
		for _, r := range rows {
			o.Embeddings = append(o.Embeddings, r.Embedding)
		}
		return c.finish(o, "")
	}
	return writeJSONLines(c.out, rows)
}

// open reads the model and applies the flags.
func (v *embedCmd) open(c *common) (*embed.Embedder, error) {
	path, err := modelPath(v.Model)
	if err != nil {
		return nil, err
	}
	s, at, err := readEmbedding(path, v.Adapter)
	if err != nil {
		return nil, err
	}
	e, err := s.Open(at, zoo.Options{F32: v.Int8}, func(m zoo.Stored) error { return v.attach(c, path, zoo.Bare(m)) })
	if err != nil {
		return nil, err
	}
	if v.Pool != "" {
		p, err := embed.ParsePool(v.Pool)
		if err != nil {
			return nil, usagef("--pool: %v", err)
		}
		e.Pools = []embed.Pool{p}
	}
	switch size, context := e.Size(), e.Model.Sizes().Context; {
	case v.Dimensions < 0 || v.Dimensions > size:
		return nil, usagef("--dimensions %d is not within 0 to the model's %d", v.Dimensions, size)
	case v.MaxTokens < 0 || v.MaxTokens > context:
		return nil, usagef("--max-tokens %d is not within 0 to the model's context of %d", v.MaxTokens, context)
	}
	e.Normalize = e.Normalize || v.Normalize
	e.Dimensions, e.Int8, e.Threads = v.Dimensions, v.Int8, c.Threads
	e.Limit = cmp.Or(v.MaxTokens, e.Limit)
	return e, nil
}

// readEmbedding reads the settings of a model, and where it is; those of the folder of an adapter, which adapt writes there, come first.
func readEmbedding(path, adapter string) (s embed.Settings, at string, err error) {
	s, at, err = embed.ReadSettings(path)
	if err == nil && adapter != "" && embed.IsSentenceTransformer(adapter) {
		s, _, err = embed.ReadSettings(adapter)
	}
	return s, at, err
}

// read returns the texts of a table.
func (v *embedCmd) read(ctx context.Context, path string) ([]string, error) {
	flags := columnFlags{tableFlags: tableFlags{Text: v.Text, Format: v.Format, NoHeader: v.NoHeader}}
	var texts []string
	err := flags.rows(ctx, path, "", func(_ string, row, _ []string) error {
		texts = append(texts, row[0])
		return nil
	})
	if err == nil && len(texts) == 0 {
		err = fmt.Errorf("%s holds no texts", path)
	}
	return texts, err
}

// embed returns the vectors of texts, after prefix where it is given, else after the folder's prompt of a kind where there is one.
func (v *embedCmd) embed(ctx context.Context, e *embed.Embedder, prefix *string, kind, flag, from string, texts []string) ([][]float32, int, error) {
	var vectors [][]float32
	var cut int
	var err error
	if prefix != nil {
		vectors, cut, err = e.EmbedAfter(ctx, *prefix, texts)
	} else {
		vectors, cut, err = e.Embed(ctx, texts, promptKind(e, kind))
	}
	if err != nil && from != "" {
		err = fmt.Errorf("%s: %w", from, err)
	}
	return vectors, cut, err
}

// promptKind is the kind of text, or the name that the folder has for it, where the folder has a prompt for it; "" else.
func promptKind(e *embed.Embedder, kind string) string {
	if _, ok := e.Prompts[kind]; ok {
		return kind
	}
	if _, ok := e.Prompts["passage"]; ok && kind == "document" {
		return "passage"
	}
	return ""
}

// search ranks texts for each query, whose vectors are there already.
func (v *embedCmd) search(ctx context.Context, c *common, e *embed.Embedder, queries []string, vectors [][]float32, texts []string) error {
	docs, cut, err := v.embed(ctx, e, v.DocPrefix, "document", "--search-prefix", v.Search, texts)
	if err != nil {
		return err
	}
	if cut > 0 {
		c.say("note: %d texts of %s are longer than the limit of tokens and lost their ends", cut, v.Search)
	}
	type answer struct {
		Query   string  `json:"query"`
		Results []found `json:"results"`
	}
	var all []answer
	var b strings.Builder
	for i, q := range vectors {
		scores := make([]float64, len(docs))
		for j, d := range docs {
			scores[j] = task.Cosine(q, d)
		}
		order := task.Rank(scores)
		if v.Top > 0 && v.Top < len(order) {
			order = order[:v.Top]
		}
		a := answer{Query: queries[i]}
		fmt.Fprintf(&b, "%s\n", oneLine(queries[i]))
		for _, j := range order {
			a.Results = append(a.Results, found{j + 1, texts[j], scores[j]})
			fmt.Fprintf(&b, "  %.4f\t%d\t%s\n", scores[j], j+1, oneLine(texts[j]))
		}
		all = append(all, a)
	}
	return c.finish(map[string]any{"model": v.Model, "search": v.Search, "texts": len(texts), "results": all}, b.String())
}

// writer is what writes --out, nil for a name of another kind.
func (v *embedCmd) writer() func(io.Writer, []embeddedRow) error {
	switch strings.ToLower(filepath.Ext(v.Out)) {
	case ".npy":
		return writeNPY
	case ".jsonl":
		return writeJSONLines
	case ".csv":
		return writeVectorsCSV
	}
	return nil
}

// writeNPY writes a float32 array [rows, numbers] in NumPy's format, version 1.0.
func writeNPY(w io.Writer, rows []embeddedRow) error {
	const magic = "\x93NUMPY\x01\x00"
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", len(rows), len(rows[0].Embedding))
	pad := 63 - (len(magic)+2+len(header))%64
	header += strings.Repeat(" ", pad) + "\n"
	out := bufio.NewWriter(w)
	out.WriteString(magic)
	binary.Write(out, binary.LittleEndian, uint16(len(header)))
	out.WriteString(header)
	for _, r := range rows {
		if err := binary.Write(out, binary.LittleEndian, r.Embedding); err != nil {
			return err
		}
	}
	return out.Flush()
}

func writeJSONLines(w io.Writer, rows []embeddedRow) error {
	out := bufio.NewWriter(w)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for _, r := range rows {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return out.Flush()
}

// writeVectorsCSV writes a line for each row, behind columns for texts, for pictures, or for both.
func writeVectorsCSV(w io.Writer, rows []embeddedRow) error {
	texts := slices.ContainsFunc(rows, func(r embeddedRow) bool { return r.Text != "" })
	images := slices.ContainsFunc(rows, func(r embeddedRow) bool { return r.Image != "" })
	var line []string
	start := func(text, image string) {
		line = line[:0]
		if texts {
			line = append(line, text)
		}
		if images {
			line = append(line, image)
		}
	}
	out := csv.NewWriter(w)
	start("text", "image")
	for i := range rows[0].Embedding {
		line = append(line, "e"+strconv.Itoa(i))
	}
	out.Write(line) // an error stays until Flush
	for _, r := range rows {
		start(r.Text, r.Image)
		for _, x := range r.Embedding {
			line = append(line, strconv.FormatFloat(float64(x), 'g', -1, 32))
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
