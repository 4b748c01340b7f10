// The page's words in English and Chinese.

const words = {
  chat: ["Chat", "对话"],
  complete: ["Complete", "续写"],
  classify: ["Classify", "分类"],
  embed: ["Embed", "向量"],
  runs: ["Runs", "训练"],
  newChat: ["New chat", "新对话"],
  chats: ["Conversations", "对话列表"],
  untitled: ["Untitled", "未命名"],
  send: ["Send", "发送"],
  stop: ["Stop", "停止"],
  edit: ["Edit", "编辑"],
  save: ["Save and send", "保存并发送"],
  cancel: ["Cancel", "取消"],
  again: ["Regenerate", "重新生成"],
  copy: ["Copy", "复制"],
  copied: ["Copied", "已复制"],
  notCopied: ["Not copied", "未能复制"],
  remove: ["Delete", "删除"],
  removeAsk: ["Delete this conversation?", "删除这个对话？"],
  rename: ["Rename", "重命名"],
  previous: ["Previous version", "上一版本"],
  next: ["Next version", "下一版本"],
  tokens: ["Probabilities", "概率"],
  text: ["Text", "文本"],
  noTokens: ["This answer was written without probabilities.", "这个回答没有记录概率。"],
  settings: ["Settings", "设置"],
  system: ["System prompt", "系统提示"],
  systemHint: ["What the model should know or be in this conversation", "模型在本对话中应知道什么、扮演什么"],
  sampling: ["Sampling", "采样"],
  temperature: ["Temperature", "温度"],
  topP: ["Top p", "Top p"],
  topK: ["Top k", "Top k"],
  minP: ["Min p", "Min p"],
  seed: ["Seed", "随机种子"],
  maxTokens: ["Most tokens", "最多词元"],
  stopTexts: ["Stop texts, one a line", "停止文本，每行一个"],
  byServer: ["default", "默认"],
  random: ["random", "随机"],
  askTokens: ["Ask for token probabilities", "请求词元概率"],
  reset: ["Reset", "重置"],
  models: ["Models", "模型"],
  modelsHint: ["Several answer side by side", "选多个可并排回答"],
  noModels: ["This server has no model that writes text.", "此服务器没有生成文本的模型。"],
  noChat: ["has no chat template: use Complete", "没有对话模板：请用“续写”"],
  message: ["Message", "输入消息"],
  hello: ["Ask your model", "向你的模型提问"],
  helloHint: ["It runs on the machine that serves this page. Conversations stay in this browser.", "模型运行在提供此页面的机器上，对话只保存在此浏览器中。"],
  exportJSON: ["Export JSON", "导出 JSON"],
  exportMarkdown: ["Export Markdown", "导出 Markdown"],
  exportAll: ["Export all", "全部导出"],
  importFile: ["Import", "导入"],
  imported: ["Imported: {0}", "已导入：{0}"],
  theme: ["Theme", "主题"],
  auto: ["Auto", "自动"],
  light: ["Light", "浅色"],
  dark: ["Dark", "深色"],
  key: ["API key", "API 密钥"],
  keyWanted: ["This server wants an API key.", "此服务器需要 API 密钥。"],
  keyHint: ["Kept until this tab is closed.", "保留到关闭此标签页为止。"],
  keyWrong: ["The server does not accept this key.", "服务器不接受此密钥。"],
  enter: ["Enter", "确定"],
  shortcuts: ["Keyboard shortcuts", "键盘快捷键"],
  close: ["Close", "关闭"],
  menu: ["Menu", "菜单"],
  searchChats: ["Search", "搜索"],
  tokensUsed: ["{0} tokens", "{0} 个词元"],
  promptTokens: ["prompt {0}", "提示 {0}"],
  perSecond: ["{0} tokens/s", "{0} 词元/秒"],
  firstToken: ["first after {0}", "首词元 {0}"],
  cutLength: ["cut at the most tokens", "达到最多词元"],
  stopped: ["stopped", "已停止"],
  unreachable: ["The server does not answer.", "服务器没有响应。"],
  retry: ["Try again", "重试"],
  here: ["here", "此处"],
  probability: ["probability", "概率"],
  kSend: ["Send", "发送"],
  kLine: ["New line", "换行"],
  kStop: ["Stop writing", "停止生成"],
  kNew: ["New chat", "新对话"],
  kAgain: ["Regenerate the last answer", "重新生成最后的回答"],
  kEdit: ["Edit the last message (in an empty field)", "编辑最后的消息（输入框为空时）"],
  kTabs: ["Switch page", "切换页面"],
  kSettings: ["Settings", "设置"],
  kHelp: ["This list", "此列表"],
} satisfies Record<string, [string, string]>;

export type Word = keyof typeof words;
export type Language = "en" | "zh";

let current: Language = "en";

export const preferred = (): Language => (globalThis.navigator?.language?.toLowerCase().startsWith("zh") ? "zh" : "en");

export function setLanguage(language: Language): void {
  current = language;
  if (globalThis.document) document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

/** A word in the chosen language, with {0}, {1} ... filled in. */
export function t(word: Word, ...values: (string | number)[]): string {
  return words[word][current === "zh" ? 1 : 0].replace(/\{(\d)\}/g, (_, i: string) => String(values[Number(i)] ?? ""));
}

/** A number in few digits. */
export function short(n: number): string {
  return n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2);
}
