# SPDX-License-Identifier: LGPL-2.1-or-later

module TwoFer
  def self.two_fer(name = "you")
    "One for #{name}, two for me."
  end
end
