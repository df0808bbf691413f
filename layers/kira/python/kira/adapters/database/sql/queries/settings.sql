-- read --
-- What the user has chosen.
SELECT model, system_prompt, theme FROM settings WHERE user_id = :user_id;

-- change --
-- Keep what is given and leave the rest; a model may be given as none.
INSERT INTO settings (user_id, model, system_prompt, theme, updated_at)
VALUES (:user_id, :model, COALESCE(:system_prompt, ''), COALESCE(:theme, 'system'), :now)
ON CONFLICT (user_id) DO UPDATE SET
  model = CASE WHEN :model_given = 1 THEN excluded.model ELSE settings.model END,
  system_prompt = COALESCE(:system_prompt, settings.system_prompt),
  theme = COALESCE(:theme, settings.theme),
  updated_at = excluded.updated_at
RETURNING model, system_prompt, theme;
