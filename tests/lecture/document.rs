//! The sections of the document, with their commands and the outputs that it shows.

/// A document, taken apart.
#[derive(Debug, Default)]
pub struct Document {
    pub sections: Vec<Section>,
    /// What is wrong with it.
    pub stray: Vec<String>,
}

/// A section whose title begins with a number.
#[derive(Debug)]
pub struct Section {
    pub title: String,
    pub commands: Vec<Command>,
}

/// A command behind `$ `.
#[derive(Debug)]
pub struct Command {
    pub text: String,
    /// Lines that follow it.
    pub excerpt: Vec<String>,
}

/// Fence of a block with commands, and the end of every block.
const CONSOLE: &str = "```console";
const END: &str = "```";

/// Heading of the preparation, whose commands are not run.
const PREPARATION: &str = "Before you begin";

/// Place of a line.
enum Block {
    Text,
    Console,
    Other,
}

impl Document {
    pub fn parse(text: &str) -> Self {
        let mut document = Self::default();
        let mut block = Block::Text;
        let mut title = "";
        for line in text.lines() {
            match block {
                Block::Text => match line.strip_prefix("## ") {
                    Some(heading) => {
                        title = heading;
                        document.begin(heading);
                    }
                    None if line == CONSOLE => block = Block::Console,
                    None if line.starts_with(END) => {
                        document.check_language(line);
                        block = Block::Other;
                    }
                    None => {}
                },
                Block::Console | Block::Other if line == END => block = Block::Text,
                Block::Console if title != PREPARATION => document.add(title, line),
                Block::Console | Block::Other => {}
            }
        }
        document.find_servers_that_say_nothing();
        document
    }

    /// Commands in a block of another language would not be run.
    fn check_language(&mut self, fence: &str) {
        if ["sh", "bash", "shell"].contains(&&fence[END.len()..]) {
            self.stray.push(format!("commands belong into {CONSOLE}, not into {fence}"));
        }
    }

    fn begin(&mut self, title: &str) {
        if title.starts_with(|first: char| first.is_ascii_digit()) {
            self.sections.push(Section { title: title.to_owned(), commands: Vec::new() });
        }
    }

    /// Adds a line of a block with commands.
    fn add(&mut self, title: &str, line: &str) {
        let section = self.sections.last_mut().filter(|section| section.title == title);
        let Some(section) = section else {
            self.stray.push(format!("no test runs this line, in the section `{title}`: {line}"));
            return;
        };
        let last = section.commands.last_mut();
        match (line.strip_prefix("$ "), last) {
            (Some(text), _) => {
                section.commands.push(Command { text: text.to_owned(), excerpt: Vec::new() });
            }
            (None, Some(command)) => command.excerpt.push(line.to_owned()),
            (None, None) => self.stray.push(format!("a line before the first command: {line}")),
        }
    }

    /// The next command may come too early for a server, unless the server says that it listens.
    fn find_servers_that_say_nothing(&mut self) {
        let commands = self.sections.iter().flat_map(|section| &section.commands);
        for command in commands.filter(|command| command.is_in_background()) {
            if command.excerpt.is_empty() {
                self.stray.push(format!("it is not shown when this has started: {}", command.text));
            }
        }
    }
}

impl Command {
    /// True if the shell does not wait for the command.
    pub fn is_in_background(&self) -> bool {
        self.text.ends_with(" &")
    }
}
