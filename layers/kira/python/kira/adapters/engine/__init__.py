"""Who answers: model servers."""
