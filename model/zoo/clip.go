package zoo

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Names of the files in a folder of open_clip, and of the one that says how pictures are prepared in a folder of transformers.
const (
	OpenCLIPFile     = "open_clip_config.json"
	openCLIPTensors  = "open_clip_model.safetensors"
	PreprocessorFile = "preprocessor_config.json"
)

// openCLIPWeights are the names that open_clip gives to files of weights, best first.
var openCLIPWeights = []string{openCLIPTensors, "open_clip_pytorch_model.bin"}

func newCLIP(config []byte, _ checkpoint.Scheme) (Stored, error) {
	c, err := clip.Parse(config)
	if err != nil {
		return nil, err
	}
	return clip.New(c)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// isOpenCLIP says whether a folder is one of open_clip: it has its file, and no config.json of transformers.
func isOpenCLIP(dir string) bool {
	if !exists(filepath.Join(dir, OpenCLIPFile)) {
		return false
	}
	b, err := file.Read(filepath.Join(dir, ConfigFile), maxConfig)
	if err != nil {
		return true
	}
	kind, err := model.TypeOf(b)
	return err != nil || kind == "" // timm's files have no model_type
}

func describeOpenCLIP(dir string) (Stored, error) {
	path := filepath.Join(dir, OpenCLIPFile)
	b, err := file.Read(path, maxConfig)
	if err != nil {
		return nil, err
	}
	c, err := clip.ParseOpenCLIP(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return clip.New(c)
}

// filesOf are the names of a model's files of configuration and weights, and their scheme.
func filesOf(m Stored) (config, weights string, s checkpoint.Scheme) {
	if c, ok := m.(*clip.Model); ok && c.Scheme() == checkpoint.OpenCLIP {
		return OpenCLIPFile, openCLIPTensors, checkpoint.OpenCLIP
	}
	return ConfigFile, WeightsFile, checkpoint.HuggingFace
}

// OpenCLIP reads a CLIP with its weights, and how pictures are prepared for it.
func OpenCLIP(dir string, o Options) (*clip.Model, media.Preprocess, error) {
	m, err := OpenAny(dir, o)
	if err != nil {
		return nil, media.Preprocess{}, err
	}
	c, ok := m.(*clip.Model)
	if !ok {
		return nil, media.Preprocess{}, fmt.Errorf("%s is no CLIP: it has no tower for pictures", dir)
	}
	p, err := preprocessOf(dir, c)
	return c, p, err
}

// preprocessOf reads how a folder wants its pictures; a folder that does not say wants what the first models of the family do.
func preprocessOf(dir string, m *clip.Model) (media.Preprocess, error) {
	p := media.CLIP(m.Tower().Side())
	if m.Config.ModelType == clip.TypeSigLIP {
		p = media.SigLIP(m.Tower().Side())
	}
	for _, name := range []string{OpenCLIPFile, PreprocessorFile} {
		path := filepath.Join(dir, name)
		if !exists(path) || name == OpenCLIPFile && !isOpenCLIP(dir) {
			continue
		}
		b, err := file.Read(path, maxConfig)
		if err == nil {
			if name == OpenCLIPFile {
				err = openCLIPPreprocess(b, &p)
			} else {
				err = hfPreprocess(b, &p)
			}
		}
		if err != nil {
			return p, fmt.Errorf("%s: %w", path, err)
		}
		return p, nil
	}
	return p, nil
}

// openCLIPPreprocess reads preprocess_cfg.
func openCLIPPreprocess(b []byte, p *media.Preprocess) error {
	var f struct {
		Preprocess struct {
			Mean          *[3]float32     `json:"mean"`
			Std           *[3]float32     `json:"std"`
			Interpolation string          `json:"interpolation"`
			Resize        string          `json:"resize_mode"`
			Size          json.RawMessage `json:"size"`
		} `json:"preprocess_cfg"`
		Ground *[3]uint8 `json:"ground"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	c := f.Preprocess
	p.Ground = f.Ground
	if c.Mean != nil {
		p.Mean = *c.Mean
	}
	if c.Std != nil {
		p.Std = *c.Std
	}
	switch c.Interpolation {
	case "", "bicubic":
	case "bilinear":
		p.Filter = media.Bilinear
	default:
		return fmt.Errorf("preprocess_cfg: interpolation %q is not implemented; implemented: bicubic, bilinear", c.Interpolation)
	}
	switch c.Resize {
	case "", "shortest":
	case "squash":
		p.Whole = true
	default:
		return fmt.Errorf("preprocess_cfg: resize_mode %q is not implemented; implemented: shortest, squash", c.Resize)
	}
	return squares(c.Size, "preprocess_cfg: size", p.Size)
}

// hfPreprocess reads a preprocessor_config.json of transformers' CLIPImageProcessor.
func hfPreprocess(b []byte, p *media.Preprocess) error {
	var c struct {
		Mean      *[3]float32     `json:"image_mean"`
		Std       *[3]float32     `json:"image_std"`
		Resample  *int            `json:"resample"`
		Size      json.RawMessage `json:"size"`
		Crop      json.RawMessage `json:"crop_size"`
		Normalize *bool           `json:"do_normalize"`
		Resize    *bool           `json:"do_resize"`
		Center    *bool           `json:"do_center_crop"`
		Rescale   *bool           `json:"do_rescale"`
		Ground    *[3]uint8       `json:"ground"` // a key of our own: see media.Preprocess
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	var size struct {
		Height int `json:"height"`
	}
	p.Whole = len(c.Size) > 0 && json.Unmarshal(c.Size, &size) == nil && size.Height > 0 // both sides are named
	if p.Whole {
		c.Center = nil // of a square nothing is cut
	}
	for key, v := range map[string]*bool{"do_normalize": c.Normalize, "do_resize": c.Resize, "do_center_crop": c.Center, "do_rescale": c.Rescale} {
		if v != nil && !*v {
			return fmt.Errorf("%s is false, only true is implemented", key)
		}
	}
	p.Ground = c.Ground
	if c.Mean != nil {
		p.Mean = *c.Mean
	}
	if c.Std != nil {
		p.Std = *c.Std
	}
	if c.Resample != nil {
		switch *c.Resample { // PIL's numbers
		case 3:
		case 2:
			p.Filter = media.Bilinear
		default:
			return fmt.Errorf("resample %d is not implemented; implemented: 2 (bilinear), 3 (bicubic)", *c.Resample)
		}
	}
	if err := squares(c.Size, "size", p.Size); err != nil {
		return err
	}
	return squares(c.Crop, "crop_size", p.Size)
}

// squares checks a size as files say it: a number, a list of two, or an object with shortest_edge or height and width. It must be the tower's.
func squares(b json.RawMessage, key string, want int) error {
	if len(b) == 0 || string(b) == "null" {
		return nil
	}
	var one int
	var two [2]int
	var named struct {
		Short  int `json:"shortest_edge"`
		Height int `json:"height"`
		Width  int `json:"width"`
	}
	fits := json.Unmarshal(b, &one) == nil && one == want || json.Unmarshal(b, &two) == nil && two == [2]int{want, want} ||
		json.Unmarshal(b, &named) == nil && (named.Short == want && named.Height == 0 || named.Short == 0 && named.Height == want && named.Width == want)
	if !fits {
		return fmt.Errorf("%s is %s, the tower for pictures takes %d pixels a side", key, b, want)
	}
	return nil
}

// clipTexts makes the texts of the folder in, of a CLIP, those of a folder of the scheme that is wanted, which it returns.
func clipTexts(texts map[string][]byte, in string, m *clip.Model, o DirOptions) (checkpoint.Scheme, error) {
	to := checkpoint.HuggingFace
	if o.OpenCLIP {
		to = checkpoint.OpenCLIP
	}
	from := checkpoint.HuggingFace
	if isOpenCLIP(in) {
		from = checkpoint.OpenCLIP
	}
	if from == to {
		return to, nil
	}
	prepare, err := preprocessOf(in, m)
	if err != nil {
		return to, err
	}
	for _, name := range []string{ConfigFile, OpenCLIPFile, PreprocessorFile} {
		delete(texts, name)
	}
	if to == checkpoint.HuggingFace {
		if texts[ConfigFile], err = m.Config.Marshal(); err != nil {
			return to, err
		}
		texts[PreprocessorFile], err = hfPreparation(prepare)
		return to, err
	}
	if texts[OpenCLIPFile], err = m.Config.MarshalOpenCLIP(); err != nil {
		return to, err
	}
	if _, has := texts[TokenizerFile]; has && texts[tokenizerConfigFile] == nil {
		texts[tokenizerConfigFile] = []byte(openCLIPTokenizer)
	}
	texts[OpenCLIPFile], err = patch(texts[OpenCLIPFile], openCLIPPreparation(prepare))
	return to, err
}

// openCLIPTokenizer is the tokenizer_config.json by which open_clip finds a folder's own tokenizer.json: without it nothing there says what fills up a batch.
const openCLIPTokenizer = `{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "` + tokenizer.CLIPStart + `", "eos_token": "` + tokenizer.CLIPEnd + `", "pad_token": "` + tokenizer.CLIPEnd + `"}
`

// SavePreprocess writes preprocessor_config.json as transformers' CLIPImageProcessor reads it into a folder that Save has written. A folder of open_clip
// has its preparation in the configuration.
func SavePreprocess(dir string, p media.Preprocess) error {
	if isOpenCLIP(dir) {
		path := filepath.Join(dir, OpenCLIPFile)
		b, err := file.Read(path, maxConfig)
		if err != nil {
			return err
		}
		if b, err = patch(b, openCLIPPreparation(p)); err != nil {
			return err
		}
		return file.WriteFile(path, b, 0o644)
	}
	b, err := hfPreparation(p)
	if err != nil {
		return err
	}
	return file.WriteFile(filepath.Join(dir, PreprocessorFile), b, 0o644)
}

// openCLIPPreparation is preprocess_cfg.
func openCLIPPreparation(p media.Preprocess) map[string]any {
	interpolation := map[media.Filter]string{media.Bicubic: "bicubic", media.Bilinear: "bilinear"}[p.Filter]
	mode := map[bool]string{false: "shortest", true: "squash"}[p.Whole]
	keys := map[string]any{"preprocess_cfg": map[string]any{"size": p.Size, "mode": "RGB", "mean": p.Mean, "std": p.Std, "interpolation": interpolation, "resize_mode": mode, "fill_color": 0}}
	if p.Ground != nil {
		keys["ground"] = p.Ground
	}
	return keys
}

// hfPreparation is preprocessor_config.json.
func hfPreparation(p media.Preprocess) ([]byte, error) {
	resample := map[media.Filter]int{media.Bicubic: 3, media.Bilinear: 2}[p.Filter] // PIL's numbers
	keys := map[string]any{"image_processor_type": "CLIPImageProcessor", "do_resize": true, "do_center_crop": true, "do_rescale": true, "do_normalize": true, "do_convert_rgb": true,
		"rescale_factor": 1.0 / 255, "resample": resample, "size": map[string]int{"shortest_edge": p.Size}, "crop_size": map[string]int{"height": p.Size, "width": p.Size},
		"image_mean": p.Mean, "image_std": p.Std}
	if p.Whole {
		keys["image_processor_type"], keys["size"] = "SiglipImageProcessor", keys["crop_size"]
		delete(keys, "crop_size")
		delete(keys, "do_center_crop")
	}
	if p.Ground != nil {
		keys["ground"] = p.Ground
	}
	b, err := json.MarshalIndent(keys, "", "  ")
	return append(b, '\n'), err
}

// IsModelDir says whether a folder says what model it holds: by config.json, or by open_clip's file.
func IsModelDir(dir string) bool {
	return exists(filepath.Join(dir, ConfigFile)) || exists(filepath.Join(dir, OpenCLIPFile))
}
