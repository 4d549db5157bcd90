# SPDX-License-Identifier: LGPL-2.1-or-later
# frozen_string_literal: true

# A test as it stands in its file.
TestSource = Struct.new(:method_class, :method_name, :first_line, :last_line, :lines) do
  # All tests of a file, in its order.
  def self.all(classes, file)
    lines = File.readlines(file)
    tests = classes.flat_map do |method_class|
      method_class.instance_methods(false).grep(/\Atest_/).map do |name|
        node = RubyVM::AbstractSyntaxTree.of(method_class.instance_method(name))
        new(method_class, name, node.first_lineno, node.last_lineno, lines)
      end
    end
    tests.sort_by(&:first_line)
  end

  def name
    method_name.to_s.delete_prefix("test_").tr("_", " ")
  end

  # The body, without what only says that a student shall enable it.
  def code
    body = lines[first_line...(last_line - 1)].reject { |line| line.match?(/\A\s*#?\s*skip\b/) }
    indent = body.reject { |line| line.strip.empty? }.map { |line| line[/\A */].length }.min || 0
    body.map { |line| line.strip.empty? ? "\n" : line[indent..] }.join.strip
  end
end
