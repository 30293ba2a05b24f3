package dev.sidewinder.model.chat.template;

/// `escape` as markupsafe does it.
final class Html {
    private Html() {}

    /// Text that is marked as safe stays as it is.
    static Value.Str escape(Render render, Value value) {
        return value instanceof Value.Str text && text.markup() ? text : forceEscape(render, value);
    }

    static Value.Str forceEscape(Render render, Value value) {
        Text text = PythonPrint.str(render, value);
        String characters = render.read(text);
        TextBuilder escaped = new TextBuilder(characters.length());
        int plainFrom = 0;
        for (int i = 0; i < characters.length(); i++) {
            String entity = switch (characters.charAt(i)) {
                case '&' -> "&amp;";
                case '<' -> "&lt;";
                case '>' -> "&gt;";
                case '"' -> "&#34;";
                case '\'' -> "&#39;";
                default -> null;
            };
            if (entity != null) {
                escaped.append(text.substring(plainFrom, i)).append(entity, text.fromTemplate(i));
                plainFrom = i + 1;
            }
        }
        return new Value.Str(escaped.append(text.substring(plainFrom)).text(), true);
    }
}
